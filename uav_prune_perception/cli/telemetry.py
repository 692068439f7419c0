# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune telemetry``: what this machine's sensors say, live."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .strict_json import strict_json

if TYPE_CHECKING:
    from uav_prune_perception.onboard.telemetry.inventory import Reading
    from uav_prune_perception.onboard.telemetry.snapshot import BoardState

CLEAR = '\x1b[H\x1b[2J'
SETTLE_S = 0.3  # RAPL and the CPU's load are differences


def run_telemetry(options: argparse.Namespace) -> int:
    """Print once, or until interrupted.

    Raises:
        TelemetryUsageError: a folder or a period that cannot be.
    """
    from uav_prune_perception.onboard.telemetry.board_reader import BoardReader
    from uav_prune_perception.onboard.telemetry.inventory import inventory

    if not options.root.is_dir():
        raise TelemetryUsageError(f'--root: {options.root} is no folder')
    if not 0.2 <= options.period <= 3600:
        raise TelemetryUsageError(f'--period is {options.period:g}, must be 0.2 to 3600 seconds')
    reader = BoardReader(options.root, smoothing_s=0.0)
    reader.read(time.monotonic() - SETTLE_S)  # the first look at differences and counters
    live = not options.once and not options.json and sys.stdout.isatty()
    while True:
        started_s = time.monotonic()
        readings = inventory(options.root)
        board = reader.read(time.monotonic())
        if options.json:
            print(strict_json(document(readings, board)), flush=True)
        else:
            print((CLEAR if live else '') + table(readings, board), flush=True)
        if options.once:
            return 0
        try:
            time.sleep(max(0.0, options.period - (time.monotonic() - started_s)))
        except KeyboardInterrupt:
            return 0


class TelemetryUsageError(ValueError):
    """The command was given something that it cannot use. One line, ready to print."""


def table(readings: Sequence[Reading], board: BoardState) -> str:
    """For people."""
    lines = [f'{"source":18s} {"name":24s} {"value":>14s}  note']
    lines += [
        f'{item.source:18s} {item.name:24s} {_value(item.value, item.unit):>14s}  {item.note}'
        for item in readings
    ]
    throttle = '' if math.isnan(board.throttle_c) else f', throttles at {board.throttle_c:.0f} C'
    lines += [
        '',
        'the policy sees: '
        f'power {_value(board.power_w, "W")}, temperature {_value(board.temperature_c, "C")}'
        f'{throttle}, load {_value(board.load, "")}, '
        f'{board.alarms} over-current or under-voltage event(s) since the start'
        + (f': {board.alarm}' if board.alarm else ''),
    ]
    return '\n'.join(lines)


def document(readings: Sequence[Reading], board: BoardState) -> dict[str, Any]:
    """For programs."""
    return {
        'readings': [
            {'source': item.source, 'name': item.name, 'value': item.value,
             'unit': item.unit, 'note': item.note}
            for item in readings
        ],
        'policy_sees': {
            name: getattr(board, name)
            for name in ('power_w', 'temperature_c', 'throttle_c', 'load', 'alarms', 'alarm')
        },
    }


def _value(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return 'unknown'
    if unit == 'Hz':
        return f'{value / 1e6:.0f} MHz'
    digits = 0 if value == int(value) and unit not in {'W', 'C'} else 2
    return f'{value:.{digits}f} {unit}'.strip()
