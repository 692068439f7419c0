# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from uav_prune_perception.onboard.policy.endurance import Endurance
from uav_prune_perception.onboard.telemetry import BatteryState


def drain(endurance, fraction, watts, start_s, seconds, capacity_wh, inference_w=5.0):
    for n in range(round(seconds * 10)):
        shown = round(100 * fraction) / 100  # a gauge of whole percents
        battery = BatteryState(shown, 14.8, watts / 14.8, watts, start_s + n / 10)
        endurance.update(battery, inference_w, start_s + n / 10)
        fraction -= watts * 0.1 / 3600 / capacity_wh
    return fraction


def test_headroom_is_what_the_rest_of_the_charge_allows():
    endurance = Endurance(600.0, 20.0, 0.1)
    drain(endurance, 0.5, 60.0, 0.0, 10.0, 20.0)
    # 0.4 of 20 Wh = 8 Wh in 600 s = 48 W
    assert endurance.headroom_w() == pytest.approx(48.0 - 60.0, abs=0.3)


def test_a_change_of_level_counts_at_once():
    endurance = Endurance(600.0, 20.0, 0.1)
    drain(endurance, 0.5, 60.0, 0.0, 10.0, 20.0)
    before = endurance.headroom_w()
    battery = BatteryState(0.49, 14.8, 57 / 14.8, 57.0, 10.0)
    endurance.update(battery, 2.0, 10.0)
    assert endurance.headroom_w() == pytest.approx(before + 3.0, abs=0.3)


def test_capacity_is_learnt_from_what_was_used():
    endurance = Endurance(1200.0, 0.0, 0.1)
    drain(endurance, 0.9, 60.0, 0.0, 30.0, 20.0)
    assert endurance.headroom_w() == math.inf  # nothing to go by yet
    drain(endurance, 0.875, 60.0, 30.0, 120.0, 20.0)
    # 0.775 - 0.1 of 20 Wh in 1050 s = 46.3 W
    assert endurance.headroom_w() == pytest.approx(46.3 - 60.0, rel=0.25)


def test_unknown_battery_limits_nothing():
    endurance = Endurance(600.0, 20.0, 0.1)
    endurance.update(BatteryState(), 5.0, 1.0)
    assert endurance.headroom_w() == math.inf


def test_silent_battery_keeps_draining():
    endurance = Endurance(600.0, 20.0, 0.1)
    drain(endurance, 0.5, 60.0, 0.0, 10.0, 20.0)
    before = endurance.headroom_w()
    for n in range(300):
        endurance.update(BatteryState(), 5.0, 10.0 + n / 10)
    assert endurance.headroom_w() == pytest.approx(before - 0.6, abs=0.4)


def test_no_target_no_limit():
    endurance = Endurance(0.0, 20.0, 0.1)
    drain(endurance, 0.2, 60.0, 0.0, 10.0, 20.0)
    assert endurance.headroom_w() == math.inf


def test_in_the_last_seconds_a_battery_that_lasts_asks_for_nothing():
    endurance, watts = Endurance(100.0, 20.0, 0.1), 60.0
    for n in range(1000):
        left_s = 100.0 - n / 10
        fraction = 0.1 + watts * left_s / 3600 / 20.0  # at the reserve exactly in time
        endurance.update(BatteryState(fraction, 14.8, watts / 14.8, watts, n / 10), 5.0, n / 10)
        assert endurance.headroom_w() == pytest.approx(0.0, abs=0.7), left_s
