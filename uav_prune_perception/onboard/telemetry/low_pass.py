# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""First-order low-pass over unevenly timed readings."""

from __future__ import annotations

import math


class LowPass:
    """Exponential smoothing with a time constant; forgets at the first nan.

    Args:
        time_constant_s: 0 = let everything through.
    """

    def __init__(self, time_constant_s: float) -> None:
        self.time_constant_s = time_constant_s
        self._value = math.nan
        self._time_s = math.nan

    def add(self, value: float, now_s: float) -> float:
        """The smoothed value after this reading; nan for nan."""
        elapsed_s = now_s - self._time_s
        if math.isnan(value) or math.isnan(self._value) or not elapsed_s >= 0:
            self._value = value
        elif self.time_constant_s > 0:
            share = 1.0 - math.exp(-elapsed_s / self.time_constant_s)
            self._value += share * (value - self._value)
        else:
            self._value = value
        self._time_s = now_s
        return self._value
