# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A board that cannot keep up: every level is busy all the time, so watts say nothing."""

from __future__ import annotations

import random

from uav_prune_perception.onboard.policy.base import (
    BATTERY,
    FrameTime,
    LevelInfo,
    Observation,
    RecentLatency,
)
from uav_prune_perception.onboard.policy.registry import make_policy
from uav_prune_perception.onboard.telemetry.snapshot import BatteryState, BoardState

PROFILE_MS = (40.0, 30.0, 20.0)
LEVELS = tuple(
    LevelInfo(index, name, share, accuracy, ms, usable=True)
    for index, (name, share, accuracy, ms) in enumerate(
        zip(('100', '70', '45'), (1.0, 0.7, 0.45), (0.95, 0.93, 0.9), PROFILE_MS, strict=True)
    )
)


def fly(policy, seconds, *, start, celsius, charge=0.9, slow=6.0, seed=0):
    """Levels in the order in which they ran, a tick every tenth of a second at 15 Hz."""
    rng = random.Random(seed)
    active, visited = start, [start]
    for tick in range(int(seconds * 10)):
        now = 100.0 + tick / 10
        total = PROFILE_MS[active] * slow * rng.lognormvariate(0.0, 0.3)
        decision = policy.decide(Observation(
            now, active, LEVELS, RecentLatency(total, total, total, 1),
            BatteryState(charge, 15.0, 5.0, 75.0, now),
            BoardState(10.0, celsius(tick / 10) + rng.uniform(-0.3, 0.3), 1.0, now),
            (FrameTime(active, total, total),), 15.0,
        ))
        if decision.level != active:
            active = decision.level
            visited.append(active)
    return visited, decision


def test_heat_that_nothing_helps_against_does_not_make_levels_flap():
    policy = make_policy('calibrated', deadline_ms=500.0, temperature_limit_c=85.0)
    visited, _ = fly(policy, 20.0, start=0, celsius=lambda t: min(95.0, 78.0 + 1.0 * t))
    assert visited == sorted(visited)  # only ever lighter
    assert visited[-1] == 2


def test_a_low_battery_still_counts_where_all_levels_draw_the_same():
    policy = make_policy('calibrated', deadline_ms=500.0)
    visited, decision = fly(policy, 10.0, start=0, celsius=lambda t: 50.0, charge=0.05)
    assert visited[-1] == 2
    assert decision.code in (BATTERY, 'hold')
