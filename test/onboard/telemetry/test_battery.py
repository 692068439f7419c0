# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from uav_prune_perception.onboard.telemetry import normalise_battery


def test_a_discharging_battery_gives_positive_current_and_power():
    state = normalise_battery(0.5, 14.8, -10.0, received_s=7.0)
    assert state.fraction == 0.5
    assert state.current_a == 10.0
    assert state.power_w == pytest.approx(148.0)
    assert state.received_s == 7.0


def test_a_charging_battery_gives_negative_power():
    assert normalise_battery(0.5, 10.0, 2.0, received_s=0).power_w == pytest.approx(-20.0)


@pytest.mark.parametrize('value', [-0.01, np.float32(-0.01), 1.01, 50.0, math.nan, math.inf])
def test_a_percentage_outside_of_its_range_is_unknown(value):
    assert math.isnan(normalise_battery(value, 14.8, -1.0, received_s=0).fraction)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_the_ends_of_the_range_are_known(value):
    assert normalise_battery(value, 14.8, -1.0, received_s=0).fraction == value


@pytest.mark.parametrize('value', [0.01, float(np.float32(0.01)), math.nan, -math.inf])
def test_an_unknown_current_makes_the_power_unknown_as_well(value):
    state = normalise_battery(0.5, 14.8, value, received_s=0)
    assert math.isnan(state.current_a)
    assert math.isnan(state.power_w)
    assert state.voltage_v == 14.8


@pytest.mark.parametrize('value', [0.0, -1.0, math.nan, math.inf])
def test_a_voltage_that_cannot_be_is_unknown(value):
    state = normalise_battery(0.5, value, -1.0, received_s=0)
    assert math.isnan(state.voltage_v)
    assert math.isnan(state.power_w)
    assert state.current_a == 1.0
