# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import time

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry import Telemetry
from uav_prune_perception.onboard.telemetry.board_reader import BoardReader
from uav_prune_perception.onboard.telemetry.low_pass import LowPass
from uav_prune_perception.onboard.telemetry.sampler import BoardSampler

RAIL = 'sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input'


def silent(arguments):
    return ''


def test_one_reading_of_a_jetson(tmp_path):
    state = BoardReader(fake_boards.orin_nano(tmp_path), run=silent).read(10.0)
    assert state.power_w == pytest.approx(5.952)
    assert (state.temperature_c, state.throttle_c) == (50.25, 95.0)
    assert state.load == pytest.approx(0.87)
    assert state.received_s == 10.0
    assert state.alarm == ''


def test_thor(tmp_path):
    state = BoardReader(fake_boards.agx_thor(tmp_path), run=silent).read(0.0)
    assert state.power_w == pytest.approx(39.0)
    assert state.alarm == ''  # the 1 is from the inrush at boot


def test_machine_without_sensors_is_all_nan(tmp_path):
    state = BoardReader(tmp_path, run=silent).read(0.0)
    assert math.isnan(state.power_w)
    assert math.isnan(state.temperature_c)
    assert math.isnan(state.load)


def test_over_current_becomes_an_alarm_with_its_time(tmp_path):
    reader = BoardReader(fake_boards.orin_nano(tmp_path), run=silent)
    reader.read(0.0)
    (tmp_path / 'sys/class/hwmon/hwmon2/oc1_event_cnt').write_text('2')
    assert reader.read(0.1).alarm == 'over-current (oc1 +2)'
    later = reader.read(9.0)  # the last one stays known, with its time
    assert (later.alarm, later.alarm_s) == ('over-current (oc1 +2)', 0.1)


def test_under_voltage_of_a_pi_is_an_alarm_once(tmp_path):
    reader = BoardReader(fake_boards.raspberry_pi_4(tmp_path), run=silent)
    assert reader.read(0.0).alarm == 'under-voltage, throttled'
    assert reader.read(2.0).alarm_s == 0.0


def test_power_is_smoothed_and_a_gap_is_a_gap(tmp_path):
    reader = BoardReader(fake_boards.orin_nano(tmp_path), run=silent, smoothing_s=1.0)
    reader.read(0.0)
    rail = tmp_path / RAIL
    rail.write_text('2400')
    watts = reader.read(1.0).power_w
    assert watts == pytest.approx(5.952 * (1 + (1 - math.exp(-1))))
    rail.write_text('asleep')
    assert math.isnan(reader.read(1.1).power_w)
    rail.write_text('1000')
    assert reader.read(1.2).power_w == pytest.approx(4.96)  # no memory across the gap


@pytest.mark.parametrize('garbage', ['-99999999', '99999999', '9' * 400])
def test_a_power_that_no_computer_has_is_no_reading(tmp_path, garbage):
    reader = BoardReader(fake_boards.orin_nano(tmp_path), run=silent, smoothing_s=0.0)
    assert reader.read(0.0).power_w > 0
    (tmp_path / RAIL).write_text(garbage)
    assert math.isnan(reader.read(0.1).power_w)


def test_driver_that_comes_up_late(tmp_path):
    reader = BoardReader(tmp_path, run=silent)
    assert math.isnan(reader.read(0.0).power_w)
    fake_boards.orin_nano(tmp_path)
    assert reader.read(6.0).power_w == pytest.approx(5.952)


def test_a_fault_in_one_source_leaves_the_others(tmp_path):
    def broken(arguments):
        raise RuntimeError('firmware crashed')

    reader = BoardReader(fake_boards.raspberry_pi_5(tmp_path), run=broken)
    state = reader.read(0.0)
    assert state.temperature_c == 61.0
    assert math.isnan(state.power_w)
    assert reader.failures == {'raspberry pi': 'RuntimeError: firmware crashed'}


def test_low_pass_settles_and_restarts():
    smooth = LowPass(2.0)
    assert smooth.add(10.0, 0.0) == 10.0
    assert smooth.add(20.0, 2.0) == pytest.approx(20 - 10 * math.exp(-1))
    assert smooth.add(5.0, 1.0) == 5.0  # the clock went back


def test_sampler_keeps_telemetry_fresh_and_stops(tmp_path):
    telemetry = Telemetry()
    sampler = BoardSampler(telemetry, fake_boards.orin_nano(tmp_path), period_s=0.05)
    sampler.start()
    sampler.start()
    deadline = time.monotonic() + 5
    while math.isnan(telemetry.board(time.monotonic()).power_w) and time.monotonic() < deadline:
        time.sleep(0.01)
    sampler.stop()
    sampler.stop()
    state = telemetry.board(time.monotonic())
    assert state.power_w == pytest.approx(5.952)
    last = state.received_s
    time.sleep(0.15)
    assert telemetry.board(time.monotonic()).received_s == last


def test_period_out_of_range():
    with pytest.raises(ValueError, match=r'period_s is 0.001, must be 0.05'):
        BoardSampler(Telemetry(), period_s=0.001)
