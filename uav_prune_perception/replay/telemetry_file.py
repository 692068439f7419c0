# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Telemetry of a flight that has none in its recording: a CSV, or a tegrastats log."""

from __future__ import annotations

import csv
import dataclasses
import heapq
import math
from collections.abc import Iterator
from pathlib import Path

from uav_prune_perception.onboard.telemetry.snapshot import BatteryState, BoardState
from uav_prune_perception.onboard.telemetry.tegrastats import parse_tegrastats

from .source import Event, ReplayError, Source

TIME = 't_s'
BATTERY = {'battery_fraction': 'fraction', 'battery_voltage_v': 'voltage_v',
           'battery_current_a': 'current_a', 'battery_power_w': 'power_w'}
BOARD = {'power_w': 'power_w', 'temperature_c': 'temperature_c', 'load': 'load'}
TEGRASTATS_S = 1.0  # its usual interval; the lines bear no reliable time


class WithTelemetry:
    """A source whose telemetry comes from a file, in place of its own."""

    def __init__(self, source: Source, path: Path) -> None:
        self.name, self.frames = source.name, source.frames
        self._source = source
        self._readings = read_telemetry(path)

    def events(self) -> Iterator[Event]:
        """The source's pictures and the file's readings, in the order of time."""
        pictures = (
            event for event in self._source.events()
            if not isinstance(event.content, (BatteryState, BoardState))
        )
        yield from heapq.merge(self._readings, pictures, key=lambda event: event.t_s)


def read_telemetry(path: Path) -> list[Event]:
    """Readings of a CSV with a header (t_s and any of the columns above), or a tegrastats log.

    As in flight, a reading is forgotten when no newer one has come for three seconds.

    Raises:
        ReplayError: neither of the two; names the line.
    """
    try:
        lines = path.expanduser().read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f'{path}: cannot be read: {error}') from None
    first = lines[0] if lines else ''
    if 'RAM ' in first:
        return [
            Event(i * TEGRASTATS_S, parse_tegrastats(line, received_s=i * TEGRASTATS_S))
            for i, line in enumerate(lines)
        ]
    columns = [word.strip() for word in first.split(',')]
    known = {TIME, *BATTERY, *BOARD}
    unknown = [name for name in columns if name not in known]
    if TIME not in columns or unknown:
        what = f'column "{unknown[0]}" is unknown' if unknown else f'no column {TIME}'
        raise ReplayError(f'{path}:1: {what}; a CSV has {TIME} and any of '
                          f'{", ".join([*BATTERY, *BOARD])}')
    return [
        event
        for number, row in enumerate(csv.DictReader(lines[1:], columns), 2)
        for event in _row(row, f'{path}:{number}')
    ]


def _row(row: dict[str, str], place: str) -> list[Event]:
    try:
        values = {key: float(text) if text and text.strip() else math.nan
                  for key, text in row.items() if key}
        t_s = values[TIME]
    except (ValueError, TypeError):
        raise ReplayError(f'{place}: a cell is not a number') from None
    events = []
    for names, state in ((BATTERY, BatteryState()), (BOARD, BoardState())):
        given = {field: values[key] for key, field in names.items() if key in values}
        if given:
            filled = dataclasses.replace(state, **given, received_s=t_s)  # type: ignore[arg-type]
            events.append(Event(t_s, filled))
    return events
