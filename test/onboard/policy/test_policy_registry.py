# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from uav_prune_perception.onboard.policy import (
    LevelInfo,
    Observation,
    RecentLatency,
    make_policy,
)
from uav_prune_perception.onboard.telemetry import BatteryState, BoardState


def see(active: int, broken=()):
    levels = tuple(
        LevelInfo(i, name, 1.0, 0.5, 1.0, name not in broken) for i, name in enumerate('abc')
    )
    return Observation(0.0, active, levels, RecentLatency(), BatteryState(), BoardState())


@pytest.mark.parametrize(
    ('level', 'active', 'broken', 'expected', 'code'),
    [
        ('', 0, '', 0, 'hold'),
        ('', 1, '', 0, 'static'),
        ('', 1, 'a', 1, 'hold'),
        ('c', 0, '', 2, 'static'),
        ('c', 2, '', 2, 'hold'),
        ('c', 0, 'c', 0, 'hold'),
    ],
)
def test_static_stays_at_its_level(level, active, broken, expected, code):
    decision = make_policy('static', level=level).decide(see(active, broken))
    assert (decision.level, decision.code) == (expected, code)


def test_an_unknown_policy_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r'no policy "magic"; there are .*hysteresis.*static'):
        make_policy('magic')
