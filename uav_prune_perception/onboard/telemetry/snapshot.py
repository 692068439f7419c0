# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The latest known state of battery and board, which forgets what has grown old."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

from .low_pass import LowPass

NAN = math.nan
SMOOTHED = ('fraction', 'voltage_v', 'current_a', 'power_w')


@dataclass(frozen=True)
class BatteryState:
    """Normalised battery reading; nan = unknown.

    Attributes:
        fraction: remaining charge, 0..1.
        voltage_v: terminal voltage, > 0.
        current_a: positive while discharging.
        power_w: drawn from the battery (voltage times current), the whole aircraft.
        received_s: `time.monotonic` seconds of the reading.
    """

    fraction: float = NAN
    voltage_v: float = NAN
    current_a: float = NAN
    power_w: float = NAN
    received_s: float = NAN


@dataclass(frozen=True)
class BoardState:
    """Normalised state of the computer; nan = unknown.

    Attributes:
        power_w: input power of the module.
        temperature_c: hottest meaningful sensor.
        load: busiest of CPU (mean over cores) and GPU, 0..1.
        received_s: `time.monotonic` seconds of the reading.
        throttle_c: where the kernel starts to slow the chip down.
        alarm: latest over-current or under-voltage event in words; '' = none yet.
        alarm_s: `time.monotonic` seconds of that event.
        alarms: such events since the sensors were opened.
    """

    power_w: float = NAN
    temperature_c: float = NAN
    load: float = NAN
    received_s: float = NAN
    throttle_c: float = NAN
    alarm: str = ''
    alarm_s: float = NAN
    alarms: int = 0


class Telemetry:
    """Latest battery and board state; thread-safe.

    A reading older than ``timeout_s`` is given out with nan in every value (its
    ``received_s`` stays), so that nobody decides on a dead sensor's last word.

    The board is told of from two sides: by whoever publishes (`update_board`) and by this
    machine's own sensors (`update_sensors`). What is published counts; the sensors fill in
    whatever it does not say.

    Args:
        timeout_s: a reading older than this is unknown.
        battery_smoothing_s: time constant of the low-pass on the battery. Under a burst of
            throttle its voltage sags, and with it the charge that many gauges show.
    """

    def __init__(self, timeout_s: float = 3.0, battery_smoothing_s: float = 0.0) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._battery = BatteryState()
        self._board = BoardState()
        self._sensors = BoardState()
        self._smoothers = {name: LowPass(battery_smoothing_s) for name in SMOOTHED}

    def smooth_battery(self, time_constant_s: float) -> None:
        """Another time constant from the next battery reading on."""
        with self._lock:
            for smoother in self._smoothers.values():
                smoother.time_constant_s = time_constant_s

    def update_battery(self, state: BatteryState) -> None:
        """The next battery reading, as it came."""
        with self._lock:
            if state.received_s - self._battery.received_s > self.timeout_s:
                for smoother in self._smoothers.values():  # after a silence it begins anew
                    smoother.add(NAN, state.received_s)
            self._battery = replace(state, **{
                name: smoother.add(getattr(state, name), state.received_s)
                for name, smoother in self._smoothers.items()
            })

    def update_board(self, state: BoardState) -> None:
        """Replace what is published of the board."""
        with self._lock:
            self._board = state

    def update_sensors(self, state: BoardState) -> None:
        """Replace what this machine's own sensors say."""
        with self._lock:
            self._sensors = state

    def battery(self, now_s: float) -> BatteryState:
        """The battery as known at ``now_s`` (`time.monotonic`); values are nan when too old."""
        with self._lock:
            state = self._battery
        if self._fresh(state.received_s, now_s):
            return state
        return BatteryState(received_s=state.received_s)

    def board(self, now_s: float) -> BoardState:
        """The board as known at ``now_s`` (`time.monotonic`); values are nan when too old."""
        with self._lock:
            told, own = self._board, self._sensors
        told = told if self._fresh(told.received_s, now_s) else BoardState(
            received_s=told.received_s)
        own = own if self._fresh(own.received_s, now_s) else BoardState(received_s=own.received_s)
        if math.isnan(own.received_s):
            return told
        return BoardState(
            _first(told.power_w, own.power_w), _first(told.temperature_c, own.temperature_c),
            _first(told.load, own.load), _latest(told.received_s, own.received_s),
            _first(told.throttle_c, own.throttle_c), told.alarm or own.alarm,
            _first(told.alarm_s, own.alarm_s), told.alarms + own.alarms,
        )

    def _fresh(self, received_s: float, now_s: float) -> bool:
        return now_s - received_s <= self.timeout_s  # false for nan: never received


def _first(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _latest(a: float, b: float) -> float:
    return b if math.isnan(a) else a if math.isnan(b) else max(a, b)
