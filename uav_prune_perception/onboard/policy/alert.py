# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ALERT as published (Wan et al., USENIX ATC'20, arXiv 1911.00119v2): a baseline.

The equations and constants are from secondary sources (a summary of the paper's section 3 and a
third-party port), not checked against the paper's text; docs/policy.md lists them. The paper
chooses a network and a power cap; here the cap is fixed, so it chooses the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .base import DEADLINE, HOLD, POWER, RECOVERED, Decision, LevelInfo, Observation

Q0, ALPHA, R, K0 = 0.1, 0.3, 0.001, 0.5
MEAN0, VARIANCE0 = 1.0, 0.1
IDLE0, IDLE_NOISE, IDLE_DRIFT = 0.01, 1e-3, 1e-4  # of the idle power ratio's filter


class AlertFilter:
    """Global slow-down: observed over profiled latency ~ N(mean, variance)."""

    def __init__(self) -> None:
        self.mean, self.variance = MEAN0, VARIANCE0
        self._gain, self._drift, self._last = K0, Q0, 0.0

    def observe(self, ratio: float) -> None:
        """One frame's observed / profiled latency."""
        surprise = ratio - self.mean
        self._drift = max(
            Q0, ALPHA * self._drift + (1 - ALPHA) * (self._gain * self._last)**2
        )
        variance = (1 - self._gain) * self.variance + self._drift
        self._gain = variance / (variance + R)
        self.mean += self._gain * surprise
        self.variance = variance
        self._last = surprise

    def probability(self, limit_ms: float, profile_ms: float) -> float:
        """P(latency <= limit)."""
        z = (limit_ms / profile_ms - self.mean) / math.sqrt(self.variance)
        return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))

    def quantile_ms(self, probability: float, profile_ms: float) -> float:
        """The latency that is kept with ``probability``, milliseconds."""
        return profile_ms * (self.mean + math.sqrt(self.variance) * _normal_quantile(probability))


@dataclass(frozen=True)
class AlertOptions:
    """Options of `AlertPolicy`; 0 switches a limit off.

    Attributes:
        deadline_ms: of a frame's processing.
        overhead_ms: taken off the deadline for the scheduler itself.
        power_limit_w: of the board; becomes ALERT's energy goal per frame.
        min_probability: of keeping the deadline; 0 = the expected quality decides alone.
        failed_quality: accuracy of a frame that came too late.
    """

    deadline_ms: float = 50.0
    overhead_ms: float = 0.05
    power_limit_w: float = 0.0
    min_probability: float = 0.0
    failed_quality: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError naming the option and its range."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f'{name} is {value}, must be a number from 0')


class AlertPolicy:
    """Highest expected quality within the energy goal, anew at every tick, with no dwell."""

    def __init__(self, options: AlertOptions | None = None) -> None:
        self.options = options or AlertOptions()
        self.filter = AlertFilter()
        self._idle_ratio, self._idle_variance = 0.3, IDLE0

    def decide(self, observation: Observation) -> Decision:
        """One tick: learn from the frames since the last, then choose."""
        o = observation
        for frame in o.frames:
            profile = o.levels[frame.level].latency_ms
            if profile > 0 and frame.total_ms > 0:
                self.filter.observe(frame.total_ms / profile)
        self._learn_idle(o)
        usable = [level for level in o.levels if level.usable and level.latency_ms > 0]
        if not usable:
            return Decision(o.active, HOLD, 'no level has a profile')
        fitting = [level for level in usable if self._fits(level, o)]
        if fitting:
            chosen = max(fitting, key=self.quality)
        else:  # latency before accuracy before power
            chosen = max(usable, key=lambda level: (self.probability(level), -level.latency_ms))
        words = (
            f'expected quality {self.quality(chosen):.3f}, deadline kept with '
            f'{self.probability(chosen):.0%}'
        )
        if chosen.index == o.active:
            return Decision(o.active, HOLD, f'stay at {chosen.name}: {words}')
        code = RECOVERED if chosen.index < o.active else DEADLINE
        if chosen.index > o.active and not self._fits(o.levels[o.active], o):
            code = POWER
        return Decision(chosen.index, code, f'go to {chosen.name}: {words}')

    def probability(self, level: LevelInfo) -> float:
        """P(deadline kept); 1 without a deadline."""
        if not self.options.deadline_ms:
            return 1.0
        limit_ms = self.options.deadline_ms - self.options.overhead_ms
        return self.filter.probability(limit_ms, level.latency_ms)

    def quality(self, level: LevelInfo) -> float:
        """Expected accuracy of a frame."""
        kept = self.probability(level)
        return level.accuracy * kept + self.options.failed_quality * (1 - kept)

    def _fits(self, level: LevelInfo, o: Observation) -> bool:
        options = self.options
        if self.probability(level) < options.min_probability:
            return False
        if not options.power_limit_w or math.isnan(level.energy_j):
            return True
        rate_hz = o.input_hz if o.input_hz > 0 else 30.0
        period_s = 1.0 / rate_hz
        busy_s = min(self.filter.mean * level.latency_ms * 1e-3, period_s)
        busy_w = level.energy_j / (level.latency_ms * 1e-3)
        idle_w = self._idle_ratio * options.power_limit_w
        energy_j = busy_w * busy_s + idle_w * period_s
        return energy_j <= options.power_limit_w * period_s

    def _learn_idle(self, o: Observation) -> None:
        """Idle power over the power cap, by the paper's second Kalman filter."""
        level, limit_w = o.levels[o.active], self.options.power_limit_w
        if not limit_w or math.isnan(o.board.power_w) or math.isnan(level.energy_j):
            return
        rate_hz = o.input_hz if o.input_hz > 0 else 30.0
        busy = min(1.0, self.filter.mean * level.latency_ms * 1e-3 * rate_hz)
        busy_w = level.energy_j / (level.latency_ms * 1e-3)
        seen = max(0.0, (o.board.power_w - busy_w * busy) / limit_w)
        variance = self._idle_variance + IDLE_DRIFT
        gain = variance / (variance + IDLE_NOISE)
        self._idle_ratio += gain * (seen - self._idle_ratio)
        self._idle_variance = (1 - gain) * variance


def _normal_quantile(probability: float) -> float:
    """Inverse of the standard normal distribution by bisection; for reports, not for flight."""
    low, high = -8.0, 8.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if 0.5 * (1.0 + math.erf(middle / math.sqrt(2.0))) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
