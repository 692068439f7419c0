# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from small_world import small_world

from uav_prune_perception.onboard.simulation import (
    LOAD_ONLY,
    best_schedule,
    fly,
    made_up_trace,
    make_world,
    measure,
)
from uav_prune_perception.onboard.simulation.flight import Schedule
from uav_prune_perception.onboard.simulation.world import Battery, Cooler


def test_knows_the_slow_stretch_beforehand():
    slow = np.array([20.0] * 50 + [40.0] * 50 + [20.0] * 50)
    world = small_world([slow, slow / 2], [0.6, 0.5])
    schedule = best_schedule(world)
    assert (schedule.level == np.where(slow > 30, 1, 0)).all()
    assert measure(world, fly(world, schedule)).violations == 0.0


def test_does_not_switch_for_less_than_the_switch_costs():
    slow = np.array([20.0] * 50 + [40.0] + [20.0] * 50)  # one frame: 0.5 lost, two changes cost 1
    world = small_world([slow, slow / 2], [0.6, 0.5])
    assert (best_schedule(world).level == 0).all()


def test_keeps_the_power_limit_by_level_or_divider():
    world = small_world([[20.0] * 200, [10.0] * 200], [0.6, 0.5],
                        power_limit_w=np.full(200, 7.2))
    metrics = measure(world, fly(world, best_schedule(world)))
    assert metrics.limit_violations == 0.0
    assert metrics.score > 0.49


def test_makes_the_battery_last():
    battery = Battery(capacity_wh=75.0 / 3600 / 0.5, start_fraction=0.6, reserve_fraction=0.1,
                      target_s=10.0)  # 75 J for 10 s: dense needs 85 J, the light level 70 J
    world = small_world([[20.0] * 300, [10.0] * 300], [0.6, 0.5], battery=battery)
    log = fly(world, best_schedule(world))
    assert log.energy_j[-1] <= 75.0
    metrics = measure(world, log)
    assert metrics.score > 0.5  # better than the light level alone


@pytest.mark.parametrize('name', ['S1', 'S3', 'S5'])
def test_no_constant_choice_beats_it(name):
    world = make_world(name, made_up_trace(1, frames=1800), 1, 60.0)
    best = measure(world, fly(world, best_schedule(world))).score
    for level in range(len(world.levels)):
        for every in (1, 2):
            pilot = Schedule(np.full(world.frames, level), np.full(world.frames, every))
            assert measure(world, fly(world, pilot)).score <= best + 0.002


def test_never_reaches_the_trip_point():
    frames = 1800
    world = small_world(
        [[20.0] * frames, [10.0] * frames], [0.6, 0.5], cooler=Cooler(time_s=10.0),
        ambient_c=np.where(np.arange(frames) < 300, 40.0, 47.5),
    )  # dense rests at 74 C, then at 81.5 C: over the trip point of 80 C
    log = fly(world, best_schedule(world))
    assert log.temperature_c.max() < 80.0
    assert measure(world, log).score > 0.5


def test_who_knows_only_the_load_scores_less_and_switches_less():
    world = make_world('S0', made_up_trace(3, frames=1800, jitter=0.15), 3, 60.0)
    everything = measure(world, fly(world, best_schedule(world)))
    load_only = measure(world, fly(world, best_schedule(world, LOAD_ONLY)))
    assert load_only.score < everything.score
    assert load_only.switches_per_min < everything.switches_per_min
    # A load that lasts is known to both.
    slow = np.array([20.0] * 150 + [40.0] * 150 + [20.0] * 150)
    lasting = small_world([slow, slow / 2], [0.6, 0.5])
    assert best_schedule(lasting, LOAD_ONLY).level[200] == 1
    assert best_schedule(lasting, LOAD_ONLY).level[50] == 0
