# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.ina238 import Ina238
from uav_prune_perception.onboard.telemetry.ina3221 import Ina3221


@pytest.mark.parametrize(('board', 'watts'), [
    (fake_boards.nano, 4.2),
    (fake_boards.tx2, 3.64),
    (fake_boards.xavier_nx, 5.5),
    (fake_boards.agx_xavier, 19.0 * 0.32),
    (fake_boards.orin_nano, 4.96 * 1.2),
    (fake_boards.agx_orin, 4.0 + 2.0 + 4.0),  # without VDDQ_VDD2_1V8AO, which is in VIN_SYS_5V0
])
def test_total_is_the_input_of_the_module(tmp_path, board, watts):
    assert Ina3221(board(tmp_path)).power_w() == pytest.approx(watts)


def test_unconnected_channels_and_the_shunt_sum_are_no_rails(tmp_path):
    names = [rail.name for rail in Ina3221(fake_boards.agx_orin(tmp_path)).rails()]
    assert names == ['VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0', 'VDDQ_VDD2_1V8AO']


def test_a_chip_seen_through_two_paths_counts_once(tmp_path):
    fake_boards.agx_xavier(tmp_path)
    hwmon = tmp_path / 'sys/class/hwmon'
    hwmon.mkdir(parents=True)
    (hwmon / 'hwmon3').symlink_to(tmp_path / 'sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3')
    assert len(Ina3221(tmp_path).rails()) == 6


def test_sleeping_rail_makes_the_total_unknown_not_smaller(tmp_path):
    fake_boards.agx_orin(tmp_path)
    source = Ina3221(tmp_path)
    rail = tmp_path / 'sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input'
    rail.unlink()
    rail.mkdir()  # reading it raises an OSError, as EAGAIN does
    assert math.isnan(source.power_w())
    assert source.rails()[1].power_w == pytest.approx(2.0)


def test_unknown_rails_are_not_summed(tmp_path):
    fake_boards.put(tmp_path, fake_boards.hwmon_rails('1-0040', [('FOO', 5000, 100)], 1))
    assert math.isnan(Ina3221(tmp_path).power_w())


def test_driver_that_comes_up_late_is_found_by_the_next_probe(tmp_path):
    source = Ina3221(tmp_path)
    assert source.rails() == []
    fake_boards.orin_nano(tmp_path)
    assert source.probe()
    assert source.power_w() == pytest.approx(5.952)


def test_thor_counts_microwatts_and_passes_over_the_usb_supply(tmp_path):
    (rail,) = Ina238(fake_boards.agx_thor(tmp_path)).rails()
    assert (rail.name, rail.power_w, rail.voltage_v) == ('VIN', pytest.approx(39.0), 19.8)


def test_no_chip_no_power(tmp_path):
    assert math.isnan(Ina3221(tmp_path).power_w())
    assert math.isnan(Ina238(tmp_path).power_w())
