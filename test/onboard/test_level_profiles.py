# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import math

import pytest
import tiny_ladder

from uav_prune_perception.ladder import DeviceProfile
from uav_prune_perception.onboard.level_profiles import level_costs, profiled_costs

NAN = math.nan


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    ladder = tiny_ladder.make_detection_ladder(tmp_path_factory.mktemp('p') / 'l', 3, 64, 64)
    profiles = [
        {'Orin': DeviceProfile('TensorRT', 9, 20.0, 21.0, 22.0, 0.2)},
        {'Orin': DeviceProfile('TensorRT', 9, 10.0, 11.0, 12.0)}, {},
    ]
    return dataclasses.replace(ladder, levels=tuple(
        dataclasses.replace(level, profiles=profile)
        for level, profile in zip(ladder.levels, profiles, strict=True)))


def test_what_was_measured_here_comes_before_the_profile_and_that_before_the_macs(ladder):
    costs = level_costs(ladder, profiled_costs(ladder, 'Orin'), [25.0, NAN, NAN])
    assert [cost.latency_ms for cost in costs[:2]] == [25.0, 10.0]
    # 100 % and 50 % of the MACs took 25 and 10 ms: 22.6 ms per unit, of which 10 % is fixed.
    assert costs[2].latency_ms == pytest.approx(35.0 / 1.55 * (0.1 + 0.9 * 0.25))


def test_levels_without_energy_draw_the_watts_of_those_that_have_it(ladder):
    costs = level_costs(ladder, profiled_costs(ladder, 'Orin'), [20.0, 10.0, 4.0])
    assert [cost.energy_j for cost in costs] == pytest.approx([0.2, 0.1, 0.04])


def test_another_device_s_profile_says_nothing(ladder):
    costs = level_costs(ladder, profiled_costs(ladder, 'Thor'), [NAN] * 3)
    assert all(math.isnan(cost.latency_ms) and math.isnan(cost.energy_j) for cost in costs)
