# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The latest known state of battery and board, which forgets what has grown old."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

NAN = math.nan


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
    """

    power_w: float = NAN
    temperature_c: float = NAN
    load: float = NAN
    received_s: float = NAN
    throttle_c: float = NAN
    alarm: str = ''
    alarm_s: float = NAN


class Telemetry:
    """Latest battery and board state; thread-safe.

    A reading older than ``timeout_s`` is given out with nan in every value (its
    ``received_s`` stays), so that nobody decides on a dead sensor's last word.
    """

    def __init__(self, timeout_s: float = 3.0) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._battery = BatteryState()
        self._board = BoardState()

    def update_battery(self, state: BatteryState) -> None:
        """Replace the battery reading."""
        with self._lock:
            self._battery = state

    def update_board(self, state: BoardState) -> None:
        """Replace the board reading."""
        with self._lock:
            self._board = state

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
            state = self._board
        if self._fresh(state.received_s, now_s):
            return state
        return BoardState(received_s=state.received_s)

    def _fresh(self, received_s: float, now_s: float) -> bool:
        return now_s - received_s <= self.timeout_s  # false for nan: never received
