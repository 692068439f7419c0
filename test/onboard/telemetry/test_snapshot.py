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
