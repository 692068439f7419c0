# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from cockpit import Cockpit

from uav_prune_perception.onboard.policy.alert import (
    AlertFilter,
    AlertOptions,
    AlertPolicy,
)
from uav_prune_perception.onboard.policy.pid import PidOptions, PidPolicy
from uav_prune_perception.onboard.telemetry import BoardState


def test_alert_filter_step_by_step():
    """Two steps by hand from the published equations."""
    alert = AlertFilter()
    alert.observe(1.5)
    # Q = max(0.1, 0.3 * 0.1 + 0.7 * 0) = 0.1; P = 0.5 * 0.1 + 0.1; K = 0.15 / 0.151
    assert alert.variance == pytest.approx(0.15)
    assert alert.mean == pytest.approx(1.0 + 0.15 / 0.151 * 0.5)
    gain, mean = 0.15 / 0.151, alert.mean
    alert.observe(1.5)
    drift = max(0.1, 0.3 * 0.1 + 0.7 * (gain * 0.5)**2)
    variance = (1 - gain) * 0.15 + drift
    assert alert.variance == pytest.approx(variance)
    assert alert.mean == pytest.approx(mean + variance / (variance + 0.001) * (1.5 - mean))


def test_alert_is_needlessly_timid_on_a_quiet_board():
    """The published sigma never falls below about 0.32: the finding this project builds on."""
    alert = AlertFilter()
    for _ in range(500):
        alert.observe(1.0)
    assert math.sqrt(alert.variance) > 0.31
    assert alert.quantile_ms(0.95, 20.0) > 1.5 * 20.0


def test_alert_probability_and_quantile_agree():
    alert = AlertFilter()
    alert.observe(1.2)
    assert alert.probability(alert.quantile_ms(0.9, 20.0), 20.0) == pytest.approx(0.9)


def test_alert_chooses_by_expected_quality():
    flight = Cockpit(AlertPolicy(AlertOptions(deadline_ms=26.0)))
    flight.fly(5.0)
    assert flight.active == 1  # dense would keep the deadline, but it does not trust it
    flight.slow = 3.0
    flight.fly(0.5)
    assert flight.active == 2


def test_alert_keeps_its_energy_goal():
    options = AlertOptions(deadline_ms=100.0, power_limit_w=6.5)
    flight = Cockpit(AlertPolicy(options), energy_j=0.4e-3)

    def board(now_s):
        return BoardState(4.0 + 0.24 * (20.0, 14.0, 8.0)[flight.active], math.nan, math.nan, now_s)

    flight.fly(10.0, board)
    assert flight.active == 2


def test_pid_settles_at_a_level_that_keeps_the_set_point():
    flight = Cockpit(PidPolicy(PidOptions(deadline_ms=26.0)))
    flight.slow = 1.6
    flight.fly(20.0)
    assert flight.active == 1
    flight.slow = 1.0
    flight.fly(30.0)
    assert flight.active == 0


def test_pid_listens_to_power():
    flight = Cockpit(PidPolicy(PidOptions(deadline_ms=0.0, power_limit_w=5.0)))
    flight.fly(20.0, lambda t: BoardState(8.0, math.nan, math.nan, t))
    assert flight.active == 2
    assert flight.changes[0][1].code == 'power'


def test_pid_holds_without_frames():
    flight = Cockpit(PidPolicy(PidOptions(deadline_ms=10.0, min_frames=31)))
    flight.fly(5.0)
    assert flight.changes == []


@pytest.mark.parametrize('options', [PidOptions, AlertOptions])
def test_bad_option_is_named(options):
    with pytest.raises(ValueError, match='deadline_ms is -1'):
        options(deadline_ms=-1)
