# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy to go: what the battery allows if the drone is to stay up as long as asked."""

from __future__ import annotations

import math

from ..telemetry.snapshot import BatteryState

CORRECTION_S = 60.0  # a gauge steps by whole percents: it corrects the integral slowly
POWER_S = 30.0  # manoeuvres are shorter than this
LEARN_FRACTION = 0.03  # charge used before the capacity may be told from it
MIN_TIME_LEFT_S = 20.0  # at the end small errors of the gauge would look like many watts
SPARE_J = 11.0  # kept back: a deficit of up to half a watt for the last 20 s is let pass


class Endurance:
    """Compares the energy left with the power drawn until the target time.

    Args:
        target_s: from the first reading until the charge may be at the reserve.
        capacity_wh: of the full battery; 0 = learn it from charge and power.
        reserve_fraction: charge to land with.
    """

    def __init__(self, target_s: float, capacity_wh: float, reserve_fraction: float) -> None:
        self._target_s = target_s
        self._capacity_j = capacity_wh * 3600.0
        self._reserve = reserve_fraction
        self._start_s = self._time_s = math.nan
        self._first_fraction = self._fraction = math.nan
        self._used_j = 0.0
        self._charge_j = math.nan  # best estimate of the energy above the reserve
        self._rest_w = math.nan
        self.power_w = math.nan

    def update(self, battery: BatteryState, inference_w: float, now_s: float) -> None:
        """One tick; a silent battery keeps draining at its last mean power.

        Args:
            battery: nan where unknown.
            inference_w: what of the battery's power the running level is thought to draw: it
                changes at once with the level, so only the rest is averaged.
            now_s: `time.monotonic` seconds.
        """
        elapsed_s = now_s - self._time_s
        self._time_s = now_s
        if not elapsed_s >= 0:
            elapsed_s = 0.0
        watts = battery.power_w
        if watts >= 0:
            rest_w = watts - inference_w
            if math.isnan(self._rest_w):
                self._rest_w = rest_w
            self._rest_w += min(1.0, elapsed_s / POWER_S) * (rest_w - self._rest_w)
        self.power_w = self._rest_w + inference_w
        drawn_j = (self.power_w if math.isnan(watts) else watts) * elapsed_s
        if not math.isnan(drawn_j):
            self._used_j += drawn_j
            self._charge_j -= drawn_j
        if not math.isnan(battery.fraction):
            self._correct(battery.fraction, elapsed_s, now_s)

    def headroom_w(self) -> float:
        """Watts that may be added until the target (negative: saved); inf when unknown."""
        if not self._target_s > 0 or math.isnan(self._charge_j) or math.isnan(self.power_w):
            return math.inf
        left_s = max(self.left_s, 0.0)
        spare_j = self._charge_j - SPARE_J - self.power_w * left_s
        return spare_j / max(left_s, MIN_TIME_LEFT_S)

    @property
    def left_s(self) -> float:
        """Seconds until the target."""
        return self._target_s - (self._time_s - self._start_s)

    def _correct(self, fraction: float, elapsed_s: float, now_s: float) -> None:
        if math.isnan(self._start_s):
            self._start_s, self._first_fraction = now_s, fraction
        self._fraction = fraction
        capacity_j = self._capacity()
        if math.isnan(capacity_j):
            return
        gauge_j = (fraction - self._reserve) * capacity_j
        if math.isnan(self._charge_j):
            self._charge_j = gauge_j
        self._charge_j += (gauge_j - self._charge_j) * min(1.0, elapsed_s / CORRECTION_S)

    def _capacity(self) -> float:
        if self._capacity_j > 0:
            return self._capacity_j
        used = self._first_fraction - self._fraction
        return self._used_j / used if used >= LEARN_FRACTION else math.nan
