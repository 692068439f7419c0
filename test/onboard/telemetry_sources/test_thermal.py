# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.thermal import ThermalZones


@pytest.mark.parametrize(('board', 'celsius'), [
    (fake_boards.nano, 45.0),  # not the PMIC's constant 100
    (fake_boards.tx2, 41.0),
    (fake_boards.orin_nano, 50.25),
    (fake_boards.x86, 44.0),
    (fake_boards.raspberry_pi_5, 61.0),
])
def test_warmest_sensor_of_the_chip(tmp_path, board, celsius):
    assert ThermalZones(board(tmp_path)).temperature_c() == celsius


def test_tj_is_the_one_to_go_by_where_it_answers(tmp_path):
    fake_boards.put(tmp_path, fake_boards.zones(('gpu-thermal', 60000), ('tj-thermal', 58000)))
    zones = ThermalZones(tmp_path)
    assert zones.temperature_c() == 58.0
    (tmp_path / 'sys/class/thermal/thermal_zone1/temp').write_text('-256000')
    assert zones.temperature_c() == 60.0


def test_zone_that_answers_eagain_is_left_out(tmp_path, monkeypatch):
    fake_boards.orin_nano(tmp_path)
    asleep = tmp_path / 'sys/class/thermal/thermal_zone3/temp'
    read_bytes = type(asleep).read_bytes

    def read(path):
        if path == asleep:
            raise BlockingIOError(11, 'Resource temporarily unavailable')
        return read_bytes(path)

    monkeypatch.setattr(type(asleep), 'read_bytes', read)
    assert ThermalZones(tmp_path).temperature_c() == 49.0


def test_throttling_starts_at_the_lowest_passive_trip_point(tmp_path):
    assert ThermalZones(fake_boards.orin_nano(tmp_path)).throttle_c() == 95.0


def test_no_zone(tmp_path):
    zones = ThermalZones(tmp_path)
    assert math.isnan(zones.temperature_c())
    assert math.isnan(zones.throttle_c())


@pytest.mark.parametrize('garbage', ['', 'none', 'nan', 'inf', '1e9'])
def test_garbage_is_unknown(tmp_path, garbage):
    fake_boards.put(tmp_path, fake_boards.zones(('cpu-thermal', garbage)))
    assert math.isnan(ThermalZones(tmp_path).temperature_c())
