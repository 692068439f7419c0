# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What would happen under every level and frame divider: worth, deadline, watts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .base import LevelInfo, Observation
from .calibrated_options import CalibratedOptions
from .slow_down import SlowDown

USUAL_HZ = 30.0
NO_WAIT, QUEUE = 0.9, 0.5  # share of frames done before the next: hardly ever, always a queue
ASSUMED_BUSY_W = 6.0  # of a level that has no measured energy, while it works


@dataclass(slots=True)
class Forecast:
    """One choice: a level, run on every ``every``-th frame.

    Attributes:
        level: the level.
        every: frame divider.
        worth: accuracy times freshness of the answer, averaged over the camera's frames.
        in_time: probability of keeping the deadline.
        watts: what its inference draws by the profile.
        key: index of the level and divider: the choice, whatever is forecast of it.
        smoothed: mean of ``in_time`` over the last seconds.
    """

    level: LevelInfo
    every: int
    worth: float
    in_time: float
    watts: float
    key: tuple[int, int]
    smoothed: float = 1.0

    @property
    def value(self) -> float:
        """Worth that may be expected: a late answer has none."""
        return self.worth * self.in_time

    @property
    def name(self) -> str:
        """For people."""
        return self.level.name if self.every == 1 else f'{self.level.name} every {self.every}.'


def forecasts(
    o: Observation, slow_down: SlowDown, overhead_ms: float, options: CalibratedOptions
) -> list[Forecast]:
    """One forecast for each usable level and divider."""
    profile_ms = [level.latency_ms for level in o.levels]
    rate_hz = o.input_hz if o.input_hz > 0 else USUAL_HZ
    period_ms = 1e3 / rate_hz
    limit_ms = options.deadline_ms - overhead_ms if options.deadline_ms else math.inf
    fade = math.exp(-1.0 / (rate_hz * options.staleness_s))
    chance = slow_down.chance
    unfaded = 1.0 / (1.0 - fade)
    slow_down.tidy()
    found = []
    for level in o.levels:
        if not level.usable or not level.latency_ms > 0:
            continue
        outlook = slow_down.outlook(level.index, o.active, profile_ms)
        typical_ms = level.latency_ms * slow_down.ratio(level.index) + overhead_ms
        periods = typical_ms / period_ms
        in_time = chance(limit_ms, *outlook) if limit_ms < math.inf else 1.0
        no_wait = 0.0 if o.input_hz > 0 and limit_ms < math.inf else 1.0
        for every in range(1, options.max_every + 1):
            kept = in_time
            if no_wait < NO_WAIT:  # of a greater divider it is greater
                no_wait = chance(every * period_ms - overhead_ms, *outlook)
            if no_wait < NO_WAIT:  # else what overruns is one burst, not a queue
                late = chance(limit_ms - min(period_ms, typical_ms), *outlook)
                share = max(0.0, (no_wait - QUEUE) / (NO_WAIT - QUEUE))
                kept = share * in_time + (1.0 - share) * late
            effective = every if every > periods else periods
            worth = level.accuracy * (1.0 - fade**effective) * unfaded / effective
            watts = _watts(level, rate_hz / effective, typical_ms)
            found.append(Forecast(level, every, worth, kept, watts, (level.index, every), kept))
    return found


def _watts(level: LevelInfo, rate_hz: float, typical_ms: float) -> float:
    if level.energy_j > 0:
        return level.energy_j * rate_hz
    return ASSUMED_BUSY_W * min(1.0, rate_hz * typical_ms * 1e-3)
