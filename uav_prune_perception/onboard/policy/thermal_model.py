# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How many watts more or less keep the chip under its temperature limit."""

from __future__ import annotations

import math
from collections import deque

WINDOW_S = 10.0
PERIOD_S = 1.0
ASSUMED_W = 15.0  # of a board that does not say what it draws


class ThermalModel:
    """Foresees the temperature by its slope; a first-order plant turns degrees into watts.

    A jump of the die when load begins is no slope that lasts: both halves of the window must
    show it, and the rise ahead is at most what the watts drawn can do in that time.

    Args:
        c_per_w: degrees per watt at rest, of the cooler.
        time_s: its time constant.
        horizon_s: how far ahead the limit must be kept.
    """

    def __init__(self, c_per_w: float, time_s: float, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._c_per_w = c_per_w * (1.0 - math.exp(-horizon_s / time_s))
        self._readings: deque[tuple[float, float]] = deque(maxlen=int(WINDOW_S / PERIOD_S) + 1)
        self._pending: deque[tuple[float, float]] = deque(maxlen=16)
        self._slope = 0.0  # degrees per second
        self.predicted_c = math.nan

    def update(self, temperature_c: float, now_s: float, power_w: float = math.nan) -> None:
        """One tick; nan = no reading: the last prediction is kept until readings are back."""
        if math.isnan(temperature_c):
            self._readings.clear()
            self._slope = 0.0
            return
        readings = self._readings
        if readings and now_s < readings[-1][0]:
            readings.clear()
        if not readings or now_s - readings[-1][0] >= PERIOD_S:
            readings.append((now_s, temperature_c))
            self._slope = _lasting_slope(list(readings))
        # The slope looks back: watts changed since then are not all in it yet.
        unseen_w = sum(w * max(0.0, 1.0 - (now_s - t) / WINDOW_S) for t, w in self._pending)
        most_c = self._c_per_w * (power_w if power_w > 0 else ASSUMED_W)
        rise_c = min(self._slope * self._horizon_s, most_c) + unseen_w * self._c_per_w
        self.predicted_c = temperature_c + max(0.0, rise_c)

    def changed(self, watts: float, now_s: float) -> None:
        """Another level runs from now on, which draws so much more (or less)."""
        self._pending.append((now_s, watts))

    def headroom_w(self, limit_c: float) -> float:
        """Watts that may be added (negative: must be saved); inf when nothing is known."""
        if math.isnan(self.predicted_c) or not limit_c > 0:
            return math.inf
        return (limit_c - self.predicted_c) / self._c_per_w


def _lasting_slope(readings: list[tuple[float, float]]) -> float:
    """Degrees per second over all readings, as far as each half of them shows half of it."""
    half = len(readings) // 2
    if half < 4:
        return 0.0
    parts = (_slope(readings[: half + 1]), _slope(readings[half:]))
    return min(_slope(readings), *(2.0 * max(0.0, part) for part in parts))


def _slope(readings: list[tuple[float, float]]) -> float:
    """Degrees per second, by least squares."""
    n = len(readings)
    mean_t = sum(t for t, _ in readings) / n
    mean_c = sum(c for _, c in readings) / n
    above = sum((t - mean_t) * (c - mean_c) for t, c in readings)
    below = sum((t - mean_t)**2 for t, _ in readings)
    return above / below if below > 0 else 0.0
