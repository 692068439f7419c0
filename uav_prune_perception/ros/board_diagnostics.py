# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of power and heat (REP-107)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from ..onboard.telemetry import BatteryState, BoardState

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
ALARM_SHOWN_S = 10.0  # diagnostics come once a second: an event must not slip through
Finding = tuple[bytes, str, dict[str, object]]  # level, message, values


@dataclass(frozen=True)
class BoardView:
    """What is known of battery and board, and what they are held to.

    Attributes:
        battery: nan in every value when unknown or too old.
        board: likewise.
        now_s: `time.monotonic` seconds.
        silent: readings once heard and heard no more: 'battery', 'power', 'temperature'.
        power_limit_w: 0 = none.
        temperature_limit_c: 0 = none.
        battery_low_fraction: 0 = none.
        battery_critical_fraction: 0 = none.
    """

    battery: BatteryState = field(default_factory=BatteryState)
    board: BoardState = field(default_factory=BoardState)
    now_s: float = 0.0
    silent: tuple[str, ...] = ()
    power_limit_w: float = 0.0
    temperature_limit_c: float = 0.0
    battery_low_fraction: float = 0.0
    battery_critical_fraction: float = 0.0


class Heard:
    """Remembers which readings there once were."""

    def __init__(self) -> None:
        self._heard: set[str] = set()

    def silent(self, battery: BatteryState, board: BoardState) -> tuple[str, ...]:
        """Those once heard that are unknown now."""
        now = {
            'battery': not all(math.isnan(getattr(battery, name))
                               for name in ('fraction', 'voltage_v', 'current_a')),
            'power': not math.isnan(board.power_w),
            'temperature': not math.isnan(board.temperature_c),
        }
        self._heard |= {name for name, known in now.items() if known}
        return tuple(name for name, known in now.items() if name in self._heard and not known)


def power_finding(view: BoardView) -> Finding:
    """Battery, the board's power, and over-current or under-voltage events."""
    battery, board = view.battery, view.board
    values: dict[str, object] = {
        'battery_fraction': battery.fraction, 'battery_voltage_v': battery.voltage_v,
        'battery_current_a': battery.current_a, 'battery_power_w': battery.power_w,
        'board_power_w': board.power_w, 'power_limit_w': view.power_limit_w,
        'board_load': board.load, 'alarms': board.alarms, 'last_alarm': board.alarm,
    }
    if view.now_s - board.alarm_s <= ALARM_SHOWN_S:
        return WARN, f'{board.alarm}: the supply is at its limit; check wiring', values
    if view.power_limit_w and board.power_w > view.power_limit_w:
        return WARN, f'{board.power_w:.1f} W, limit {view.power_limit_w:.1f} W', values
    for word, threshold in (('critical', view.battery_critical_fraction),
                            ('low', view.battery_low_fraction)):
        if battery.fraction < threshold:
            words = f'battery {battery.fraction:.0%} is {word} (under {threshold:.0%})'
            return WARN, words, values
    gone = [name for name in ('battery', 'power') if name in view.silent]
    if gone:
        return STALE, f'no usable reading of {" and ".join(gone)} any more', values
    readings = {'battery': (battery.fraction, battery.voltage_v), 'power': (board.power_w,)}
    there = [name for name, figures in readings.items() if not all(map(math.isnan, figures))]
    if not there:
        return OK, 'nobody reports battery or power', values
    return OK, f'readings of {" and ".join(there)}', values


def thermal_finding(view: BoardView) -> Finding:
    """The chip's temperature against our limit and the kernel's trip point."""
    board, limit_c = view.board, view.temperature_limit_c
    celsius, throttle_c = board.temperature_c, board.throttle_c
    values: dict[str, object] = {
        'board_temperature_c': celsius, 'temperature_limit_c': limit_c, 'throttle_c': throttle_c,
        'to_limit_c': min(limit_c or math.inf, math.inf if math.isnan(throttle_c) else throttle_c)
        - celsius,
    }
    if 'temperature' in view.silent:
        return STALE, 'no temperature is reported any more', values
    if math.isnan(celsius):
        return OK, 'nobody reports the temperature', values
    if celsius >= throttle_c:
        return ERROR, f'{celsius:.0f} C: the chip throttles from {throttle_c:.0f} C on', values
    if limit_c and celsius > limit_c:
        return WARN, f'{celsius:.0f} C, limit {limit_c:.0f} C', values
    return OK, f'{celsius:.0f} C', values
