# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from uav_prune_perception.onboard.policy.slow_down import SlowDown

PROFILE = [20.0, 10.0]


def jitter(kind, size, n, rng):
    noise = rng.standard_normal(n)
    if kind == 'skewed':
        noise = rng.exponential(1.0, n) - 1.0
    if kind == 'spikes':
        return np.exp(size * noise) * np.where(rng.random(n) < 0.02, 1.8, 1.0)
    if kind == 'steps':
        return np.exp(size * noise) * np.where(np.arange(n) // 600 % 2, 1.6, 1.0)
    return np.exp(size * noise)


@pytest.mark.parametrize('size', [0.01, 0.03, 0.1])
@pytest.mark.parametrize('kind', ['normal', 'skewed', 'spikes', 'steps'])
def test_what_is_called_95_percent_is_95_percent(kind, size):
    rng = np.random.default_rng(3)
    slow_down, held = SlowDown(2), []
    for n, ratio in enumerate(jitter(kind, size, 6000, rng)):
        if n > 200:
            held.append(20.0 * ratio <= slow_down.quantile_ms(0.95, 0, 0, PROFILE))
        slow_down.observe(0, 20.0 * ratio, 20.0)
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_probability_and_quantile_agree():
    slow_down = SlowDown(2)
    for ratio in jitter('skewed', 0.05, 500, np.random.default_rng(0)):
        slow_down.observe(0, 20.0 * ratio, 20.0)
    bound = slow_down.quantile_ms(0.9, 0, 0, PROFILE)
    assert slow_down.probability(0, 0, bound, PROFILE) == pytest.approx(0.9, abs=1e-6)


def test_a_step_is_believed_within_two_frames_on_a_quiet_board():
    rng, slow_down = np.random.default_rng(1), SlowDown(2)
    for ratio in jitter('normal', 0.02, 600, rng):
        slow_down.observe(0, 20.0 * ratio, 20.0)
    for ratio in jitter('normal', 0.02, 2, rng):
        slow_down.observe(0, 32.0 * ratio, 20.0)
    assert slow_down.ratio(0) == pytest.approx(1.6, abs=0.06)
    assert slow_down.ratio(1) == pytest.approx(1.6, abs=0.06)  # known without having run it


def test_one_hiccup_is_not_a_step():
    rng, slow_down = np.random.default_rng(1), SlowDown(2)
    for ratio in jitter('normal', 0.02, 600, rng):
        slow_down.observe(0, 20.0 * ratio, 20.0)
    slow_down.observe(0, 60.0, 20.0)
    assert slow_down.ratio(0) == pytest.approx(1.0, abs=0.03)


def test_garbage_teaches_nothing():
    slow_down = SlowDown(1)
    for value in (math.nan, math.inf, 0.0, -3.0):
        slow_down.observe(0, value, 20.0)
    slow_down.observe(0, 20.0, math.nan)
    assert slow_down.frames == 0


def test_a_level_with_a_wrong_profile_is_learnt_by_running_it():
    slow_down, rng = SlowDown(2), np.random.default_rng(2)
    for _ in range(3):
        for level, true_ms in ((0, 20.0), (1, 13.0)):  # the second one's profile says 10
            for ratio in jitter('normal', 0.01, 100, rng):
                slow_down.observe(level, true_ms * ratio, PROFILE[level])
    for ratio in jitter('normal', 0.01, 100, rng):
        slow_down.observe(0, 20.0 * ratio, 20.0)
    assert slow_down.quantile_ms(0.5, 1, 0, PROFILE) == pytest.approx(13.0, rel=0.06)
