# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What every level would draw now: measured power split into a base and the inference."""

from __future__ import annotations

import math

BASE_W_PER_ROOT_S = 0.3  # how fast what else runs on the board changes
SCALE_PER_ROOT_S = 0.002
SENSOR_W = 0.15  # noise of one reading
SCALE_STD = 0.15  # of measured energy profiles
MAX_BASE_STD_W = 1.5
FROZEN_S = 5.0  # a noisy sensor that repeats one value this long is dead
SEEN_ALIVE = 10  # changes of value after which it is known to be noisy
LAG_S = 0.7  # of the reading behind the truth: sampler's low-pass and period


class PowerModel:
    """Kalman filter on (base, scale): power = base + scale * inference watts by the profile.

    With no reading the estimate stays and its uncertainty grows, so that limits are kept with
    more and more reserve: stale telemetry makes careful.

    Args:
        scale: expected factor on the profile's watts.
        scale_std: how wrong that may be.
    """

    def __init__(self, scale: float = 1.0, scale_std: float = SCALE_STD) -> None:
        self.base_w = math.nan
        self.scale = scale
        self._p00, self._p01, self._p11 = 25.0, 0.0, scale_std**2
        self._time_s = math.nan
        self._seen_w = math.nan
        self._changed_s = math.nan
        self._changes = 0
        self._shown_w = math.nan  # profile watts as the lagging sensor shows them

    @property
    def known(self) -> bool:
        """There has been a reading."""
        return not math.isnan(self.base_w)

    def alive_w(self, reading_w: float, now_s: float) -> float:
        """The reading, or nan when the sensor repeats itself as a noisy one never does."""
        if math.isnan(reading_w):
            return reading_w
        if reading_w != self._seen_w:
            self._seen_w, self._changed_s = reading_w, now_s
            self._changes += 1
        frozen = now_s - self._changed_s >= FROZEN_S and self._changes >= SEEN_ALIVE
        return math.nan if frozen else reading_w

    def update(self, reading_w: float, profile_w: float, now_s: float) -> None:
        """One tick: what the sensor says (nan = nothing) while ``profile_w`` is running."""
        elapsed_s = now_s - self._time_s
        if not elapsed_s >= 0:
            elapsed_s = 0.0
        self._time_s = now_s
        if math.isnan(self._shown_w):
            self._shown_w = profile_w
        self._shown_w += (profile_w - self._shown_w) * min(1.0, elapsed_s / LAG_S)
        limit = MAX_BASE_STD_W**2
        self._p00 += BASE_W_PER_ROOT_S**2 * elapsed_s
        if self.known:
            self._p00 = min(self._p00, limit)
        self._p11 = min(self._p11 + SCALE_PER_ROOT_S**2 * elapsed_s, SCALE_STD**2 + self._p11)
        if math.isnan(reading_w):
            return
        x = self._shown_w
        if not self.known:
            self.base_w = reading_w - self.scale * x
        error = reading_w - self.base_w - self.scale * x
        lead = SENSOR_W**2 + (0.5 * self.scale * (profile_w - x))**2  # lag is not known well
        h0, h1 = self._p00 + x * self._p01, self._p01 + x * self._p11
        total = h0 + x * h1 + lead
        k0, k1 = h0 / total, h1 / total
        self.base_w += k0 * error
        self.scale = max(0.1, self.scale + k1 * error)
        self._p00 -= k0 * h0
        self._p01 -= k0 * h1
        self._p11 -= k1 * h1

    def predict_w(self, profile_w: float) -> tuple[float, float]:
        """Expected power with ``profile_w`` running and its standard deviation, watts."""
        variance = self._p00 + profile_w * (2.0 * self._p01 + profile_w * self._p11)
        return self.base_w + self.scale * profile_w, math.sqrt(max(0.0, variance))
