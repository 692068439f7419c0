# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from small_world import small_world

from uav_prune_perception.onboard.policy.base import HOLD, Decision
from uav_prune_perception.onboard.simulation import fly, measure
from uav_prune_perception.onboard.simulation.flight import Schedule
from uav_prune_perception.onboard.simulation.world import IDLE_W


def constant(world, level=0, every=1):
    return Schedule(np.full(world.frames, level), np.full(world.frames, every))


def test_a_fast_level_does_every_frame_in_its_own_time():
    world = small_world([[20.0] * 60], [0.6])
    log = fly(world, constant(world))
    assert (log.level == 0).all()
    assert log.age_ms == pytest.approx(np.full(60, 20.0))
    metrics = measure(world, log)
    assert metrics.score == pytest.approx(0.6)
    assert metrics.violations == 0.0


def test_a_slow_level_drops_what_a_newer_frame_pushes_out():
    # At 0, 51, 102, 153, 204 ms the newest is taken: frames 0, 1, 3, 4, 6 ... : two of three.
    world = small_world([[51.0] * 60], [0.6], deadline_ms=60.0)
    log = fly(world, constant(world))
    done = np.flatnonzero(log.level >= 0)
    assert list(done[:6]) == [0, 1, 3, 4, 6, 7]
    assert log.age_ms[1] == pytest.approx(102.0 - 33.333, abs=0.01)
    assert log.age_ms[3] == pytest.approx(153.0 - 100.0, abs=0.01)


def test_divider_leaves_out_frames_on_purpose():
    world = small_world([[50.0] * 60], [0.6], deadline_ms=60.0)
    log = fly(world, constant(world, every=2))
    assert log.skipped.sum() == 30
    metrics = measure(world, log)
    assert metrics.violations == 0.0
    fade = np.exp(-1 / 30 / world.staleness_s)
    assert metrics.score == pytest.approx(0.6 * (1 + fade) / 2)


def test_late_answers_are_worth_nothing():
    world = small_world([[20.0, 31.0] * 30], [0.6])
    metrics = measure(world, fly(world, constant(world)))
    assert metrics.score == pytest.approx(0.3)
    assert metrics.violations == pytest.approx(0.5)


def test_energy_is_idle_power_and_inferences():
    world = small_world([[20.0] * 300], [0.6])
    log = fly(world, constant(world))
    assert log.energy_j[-1] == pytest.approx(IDLE_W * 10.0 + 300 * 0.1)


def test_power_over_the_limit_makes_answers_worthless():
    world = small_world([[20.0] * 300, [10.0] * 300], [0.6, 0.5],
                        power_limit_w=np.full(300, 7.5))
    heavy = measure(world, fly(world, constant(world, 0)))  # 5.5 + 3 W
    light = measure(world, fly(world, constant(world, 1)))  # 5.5 + 1.5 W
    assert heavy.limit_violations == pytest.approx(271 / 300, abs=0.01)  # after the first second
    assert (light.score, light.limit_violations) == (pytest.approx(0.5), 0.0)


def test_first_frame_of_another_level_pays_for_the_switch():
    world = small_world([[20.0] * 20, [10.0] * 20], [0.6, 0.5], switch_ms=2.0)
    level = np.array([0] * 10 + [1] * 10)
    log = fly(world, Schedule(level, np.ones(20, int)))
    assert log.latency_ms[10] == pytest.approx(12.0)
    assert log.latency_ms[11] == pytest.approx(10.0)


class Watcher:
    """Keeps what it saw, changes level once."""

    def __init__(self):
        self.seen = []

    def decide(self, observation):
        self.seen.append(observation)
        return Decision(1 if observation.now_s >= 1.0 else 0, HOLD, '')


def test_policy_sees_each_frame_once_and_only_when_it_is_done():
    world = small_world([[20.0] * 90, [10.0] * 90], [0.6, 0.5])
    watcher = Watcher()
    fly(world, watcher)
    assert len(watcher.seen) == 30
    frames = [frame for one in watcher.seen for frame in one.frames]
    assert 84 <= len(frames) <= 90
    assert {(frame.level, frame.total_ms) for frame in frames} == {(0, 20.0), (1, 10.0)}
    first = watcher.seen[0]
    assert first.frames == ()
    assert first.latency.frames == 0
    after = next(one for one in watcher.seen if one.active == 1)
    assert all(frame.total_ms == 10.0 for frame in after.frames[-1:])
    assert after.latency.p50_ms == pytest.approx(10.0)  # the window is of the new level only
