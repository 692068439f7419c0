# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from uav_prune_perception.onboard.policy.power_model import PowerModel

SENSOR_LAG_S = 0.5


def settle(model, base_w, profile_w, start_s, seconds, *, scale=1.0, rng=None, before_w=None):
    rng = rng or np.random.default_rng(0)
    true_w = base_w + scale * profile_w
    shown_w = before_w or true_w
    for n in range(round(seconds * 10)):
        shown_w += (true_w - shown_w) * 0.1 / SENSOR_LAG_S
        reading = shown_w + 0.05 * rng.standard_normal()
        model.update(model.alive_w(reading, start_s + n / 10), profile_w, start_s + n / 10)


def test_predicts_what_another_level_would_draw():
    model = PowerModel()
    settle(model, 6.0, 5.0, 0.0, 20.0)
    assert model.predict_w(5.0)[0] == pytest.approx(11.0, abs=0.1)
    assert model.predict_w(2.0)[0] == pytest.approx(8.0, abs=0.5)


def test_learns_that_the_profile_is_wrong():
    model, rng = PowerModel(), np.random.default_rng(1)
    for turn in range(6):
        profile_w, before_w = ((5.0, 8.6), (2.0, 12.5))[turn % 2]
        settle(model, 6.0, profile_w, 30.0 * turn, 30.0, scale=1.3, rng=rng, before_w=before_w)
    assert model.predict_w(5.0)[0] == pytest.approx(6.0 + 6.5, abs=0.5)


def test_follows_what_else_runs():
    model = PowerModel()
    settle(model, 6.0, 5.0, 0.0, 10.0)
    settle(model, 8.0, 5.0, 10.0, 5.0)
    assert model.predict_w(5.0)[0] == pytest.approx(13.0, abs=0.2)


def test_silence_keeps_the_estimate_and_adds_doubt():
    model = PowerModel()
    settle(model, 6.0, 5.0, 0.0, 10.0)
    expected_w, std_w = model.predict_w(5.0)
    for n in range(300):
        model.update(math.nan, 5.0, 10.0 + n / 10)
    assert model.predict_w(5.0)[0] == pytest.approx(expected_w)
    assert model.predict_w(5.0)[1] > std_w + 1.0


def test_a_noisy_sensor_that_repeats_itself_is_dead():
    model = PowerModel()
    settle(model, 6.0, 5.0, 0.0, 5.0)
    assert model.alive_w(11.0, 6.0) == 11.0
    assert model.alive_w(11.0, 10.9) == 11.0
    assert math.isnan(model.alive_w(11.0, 11.1))
    assert model.alive_w(11.01, 11.2) == 11.01


def test_a_sensor_that_never_changed_is_believed():
    model = PowerModel()
    assert [model.alive_w(10.0, t) for t in (0.0, 30.0, 60.0)] == [10.0] * 3
