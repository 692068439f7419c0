# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from uav_prune_perception.onboard.telemetry import BatteryState, BoardState, Telemetry


def test_nothing_is_known_before_the_first_reading():
    telemetry = Telemetry()
    assert math.isnan(telemetry.battery(5.0).fraction)
    assert math.isnan(telemetry.board(5.0).power_w)


def test_a_reading_is_forgotten_when_it_is_too_old():
    telemetry = Telemetry(timeout_s=3.0)
    telemetry.update_battery(BatteryState(0.5, 15.0, 2.0, 30.0, received_s=10.0))
    telemetry.update_board(BoardState(7.0, 60.0, 0.4, received_s=10.0))
    assert telemetry.battery(13.0).fraction == 0.5
    assert telemetry.board(13.0).temperature_c == 60.0
    old = telemetry.battery(13.1)
    assert all(
        math.isnan(v) for v in (old.fraction, old.voltage_v, old.current_a, old.power_w)
    )
    assert old.received_s == 10.0
    assert math.isnan(telemetry.board(13.1).load)


def test_the_newest_reading_counts():
    telemetry = Telemetry()
    telemetry.update_battery(BatteryState(fraction=0.5, received_s=1.0))
    telemetry.update_battery(BatteryState(fraction=0.4, received_s=2.0))
    assert telemetry.battery(2.0).fraction == 0.4


def test_sensors_fill_in_what_nobody_publishes():
    telemetry = Telemetry(timeout_s=3.0)
    telemetry.update_sensors(
        BoardState(6.0, 50.0, 0.2, 10.0, throttle_c=95.0, alarm='oc1', alarm_s=9.0, alarms=2))
    telemetry.update_board(BoardState(power_w=7.0, received_s=10.5))
    board = telemetry.board(11.0)
    assert (board.power_w, board.temperature_c, board.load) == (7.0, 50.0, 0.2)
    assert (board.throttle_c, board.alarm, board.alarms) == (95.0, 'oc1', 2)
    telemetry.update_sensors(BoardState(6.5, 51.0, 0.2, 14.0))
    assert telemetry.board(14.0).power_w == 6.5  # the publisher has fallen silent
    assert math.isnan(telemetry.board(20.0).power_w)


def test_a_sag_of_the_battery_is_smoothed_and_silence_begins_anew():
    telemetry = Telemetry(timeout_s=3.0, battery_smoothing_s=2.0)
    telemetry.update_battery(BatteryState(0.8, 15.0, 2.0, 30.0, 1.0))
    assert telemetry.battery(1.0).fraction == 0.8
    telemetry.update_battery(BatteryState(0.4, 13.0, 20.0, 260.0, 1.2))
    assert 0.75 < telemetry.battery(1.2).fraction < 0.8
    telemetry.update_battery(BatteryState(0.4, 13.0, 2.0, 26.0, 9.0))
    assert telemetry.battery(9.0).fraction == 0.4
