# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from cockpit import PROFILE_MS, Cockpit

from uav_prune_perception.onboard.policy.calibrated import CalibratedPolicy
from uav_prune_perception.onboard.policy.calibrated_options import CalibratedOptions
from uav_prune_perception.onboard.telemetry import BatteryState, BoardState

BUSY_J_PER_MS = 8e-3  # at 30 Hz: dense 4.8 W, 50: 3.36 W, 25: 1.92 W
REST_W = 6.0


def cockpit(*, energy_j=math.nan, jitter=0.02, input_hz=30.0, **options):
    settings = {'deadline_ms': 26.0, **options}
    return Cockpit(CalibratedPolicy(CalibratedOptions(**settings)), energy_j=energy_j,
                   jitter=jitter, input_hz=input_hz)


def measured(flight):
    """What the power sensor says while the flight's level runs."""

    def board(now_s):
        watts = REST_W + 0.24 * PROFILE_MS[flight.active] + 0.02 * flight.rng.standard_normal()
        return BoardState(watts, math.nan, math.nan, now_s)

    return board


def test_quiet_board_runs_the_most_accurate_level_and_stays():
    flight = cockpit()
    flight.fly(30.0)
    assert flight.active == 0
    assert flight.changes == []
    assert 'nothing better fits' in flight.last.reason


def test_step_down_is_immediate_and_straight_to_the_best_that_fits():
    flight = cockpit()
    flight.fly(10.0)
    flight.slow = 2.5  # dense 50 ms, 50: 35 ms, 25: 20 ms
    flight.fly(0.4)
    ((_, change),) = flight.changes
    assert (change.level, change.code) == (2, 'deadline')
    assert 'keeps 26 ms with' in change.reason


def test_step_up_waits_for_the_dwell():
    flight = cockpit(dwell_up_s=5.0)
    flight.fly(10.0)
    flight.slow = 1.6
    flight.fly(5.0)
    assert flight.active == 1
    flight.slow = 1.0
    flight.fly(4.5)
    assert flight.active == 1
    assert 'waiting' in flight.last.reason
    flight.fly(1.5)
    assert flight.active == 0
    assert flight.changes[-1][1].code == 'recovered'


def test_a_single_slow_frame_changes_nothing():
    flight = cockpit()
    flight.fly(20.0)
    flight.policy.beliefs.slow_down.observe(0, 80.0, 20.0)
    flight.fly(1.0)
    assert flight.changes == []


def test_power_limit_is_kept_by_the_level_that_the_model_says():
    flight = cockpit(energy_j=BUSY_J_PER_MS, power_limit_w=9.0)

    flight.fly(20.0, measured(flight))
    assert flight.active == 2
    assert flight.changes[0][1].code == 'power'


def test_heat_is_foreseen():
    flight = cockpit(temperature_limit_c=80.0)
    flight.fly(60.0, lambda t: BoardState(math.nan, 60.0 + 0.4 * t, math.nan, t))
    first_s, change = flight.changes[0]
    assert change.code == 'temperature'
    assert 60.0 + 0.4 * first_s < 80.0


def test_kernel_trip_point_counts_where_it_is_lower():
    flight = cockpit(temperature_limit_c=95.0)
    flight.fly(3.0, lambda t: BoardState(math.nan, 83.0, math.nan, t, throttle_c=80.0))
    assert flight.active == 2


def test_over_current_steps_down_at_once_and_forbids_stepping_up():
    flight = cockpit(alarm_hold_s=20.0)
    flight.fly(10.0)
    flight.board = BoardState(alarm='over-current (oc1 +1)', alarm_s=flight.now_s)
    change = flight.tick()
    assert (change.level, change.code) == (1, 'alarm')
    assert 'over-current (oc1 +1)' in change.reason
    flight.fly(19.0)
    assert flight.active == 1  # and only once for one event
    flight.fly(10.0)
    assert flight.active == 0


def test_old_alarm_is_no_alarm():
    flight = cockpit()
    flight.fly(10.0)
    flight.board = BoardState(alarm='over-current (oc1 +1)', alarm_s=1.0)
    flight.fly(1.0)
    assert flight.changes == []


def test_silent_power_sensor_forbids_stepping_up_and_makes_careful():
    flight = cockpit(energy_j=BUSY_J_PER_MS, power_limit_w=11.2)
    flight.fly(20.0, measured(flight))
    assert flight.active == 0  # 10.8 W
    flight.fly(60.0)
    assert flight.active > 0
    assert flight.changes[0][1].code == 'power'
    assert 'power is not reported any more' in flight.last.reason


def test_battery_below_the_critical_charge_runs_the_lightest():
    flight = cockpit(battery_low_fraction=0.3, battery_critical_fraction=0.15)
    flight.battery = BatteryState(fraction=0.25)
    flight.fly(1.0)
    assert flight.active == 1
    assert flight.changes[0][1].code == 'battery'
    flight.battery = BatteryState(fraction=0.1)
    flight.fly(1.0)
    assert flight.active == 2


def test_endurance_target_saves_energy():
    flight = cockpit(energy_j=BUSY_J_PER_MS, target_endurance_s=600.0, battery_capacity_wh=10.0,
                     battery_reserve_fraction=0.1)
    # 0.5 of 10 Wh in 600 s: 30 W allowed, 33 W drawn.
    flight.battery = BatteryState(0.6, 14.8, 33 / 14.8, 33.0)
    flight.fly(3.0)
    assert flight.active > 0
    assert flight.changes[0][1].code == 'endurance'
    assert 'battery for 30' in flight.changes[0][1].reason


def test_frame_divider_is_used_where_the_camera_is_too_fast():
    flight = cockpit(max_every=3, input_hz=60.0)
    decision = flight.fly(8.0)
    assert (decision.level, decision.every) == (0, 2)


def test_divider_stays_1_unless_allowed():
    flight = cockpit(input_hz=60.0)
    assert flight.fly(8.0).every == 1


def test_broken_level_is_never_chosen():
    flight = cockpit()
    flight.fly(5.0)
    flight.break_level(1)
    flight.slow = 1.6
    flight.fly(3.0)
    assert flight.active == 2


def test_impossible_deadline_takes_the_best_attainable_without_flapping():
    flight = cockpit(deadline_ms=5.0)
    flight.fly(20.0)
    assert flight.active == 2
    assert len(flight.changes) == 1


def test_somebody_else_may_change_level_and_divider():
    flight = cockpit(max_every=3, input_hz=60.0)
    assert flight.fly(8.0).every == 2
    flight.active = 1  # forced, or after a fault
    assert flight.tick().level == 1
    flight.policy.options = dataclasses.replace(flight.policy.options, max_every=1)
    assert flight.tick().every == 1


def test_no_deadline_runs_the_heaviest():
    flight = cockpit(deadline_ms=0.0)
    flight.slow = 4.0
    flight.fly(10.0)
    assert flight.active == 0


def test_options_can_be_changed_in_flight_without_forgetting():
    flight = cockpit()
    flight.fly(10.0)
    learnt = flight.policy.beliefs.slow_down
    flight.policy.options = dataclasses.replace(flight.policy.options, deadline_ms=18.0)
    flight.fly(0.5)
    assert flight.active == 1
    assert flight.policy.beliefs.slow_down is learnt


def test_a_step_up_that_had_to_be_taken_back_is_tried_less_often():
    flight = cockpit(dwell_up_s=2.0)
    flight.fly(5.0)
    for _ in range(600):  # dense is 1.6 x slow, the others are not: its profile is wrong
        flight.slow = 1.6 if flight.active == 0 else 1.0
        flight.tick()
    assert len(flight.changes) <= 12


@pytest.mark.parametrize(('name', 'value'), [
    ('deadline_ms', -1.0), ('deadline_probability', 1.0), ('max_every', 0), ('max_every', 1.5),
    ('staleness_s', 0.0), ('temperature_limit_c', math.nan),
])
def test_bad_option_is_named(name, value):
    with pytest.raises(ValueError, match=f'{name} is {value}'):
        CalibratedOptions(**{name: value})


def test_a_burst_is_ridden_out_once_bursts_are_known():
    flight = cockpit()
    flight.fly(20.0)

    def burst():
        flight.slow = 2.5
        flight.fly(0.2)
        flight.slow = 1.0
        before = len(flight.changes)
        flight.fly(20.0)
        return before

    for _ in range(8):
        burst()
    changed = len(flight.changes)
    for _ in range(3):
        burst()
    assert len(flight.changes) == changed, 'the ninth burst moved it as the first did'
    flight.slow = 2.0  # what lasts is still answered within a second
    flight.fly(1.0)
    assert flight.active > 0


def test_what_is_stated_is_kept_although_the_distribution_is_wrong():
    """Frames of two kinds, near and far from the deadline: no smooth distribution fits."""
    flight = cockpit(deadline_ms=30.0)
    flight.fly(10.0)
    stated, kept = [], []
    rng = np.random.default_rng(3)
    for n in range(3000):
        flight.slow = 2.0 if rng.random() < 0.03 else 1.0
        before = flight.active
        flight.tick()
        if n > 1000 and before == flight.active == 0:
            stated.append(flight.policy.stated)
            kept.append(20.0 * flight.slow + 1.0 <= 30.0)
    assert len(stated) > 1000
    assert np.mean(stated) == pytest.approx(np.mean(kept), abs=0.03)
