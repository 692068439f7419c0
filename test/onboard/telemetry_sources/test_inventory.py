# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.inventory import inventory


def readings(root):
    found = inventory(root, run=lambda arguments: '', sleep=lambda seconds: None)
    return {(reading.source, reading.name): reading for reading in found}


def test_jetson(tmp_path):
    found = readings(fake_boards.orin_nano(tmp_path))
    assert found['machine', 'model'].value == 'NVIDIA Jetson Orin Nano Developer Kit, 25W'
    assert found['INA3221', 'total'].value == pytest.approx(5.952)
    assert found['thermal', 'tj-thermal'].note == 'throttles at 95 C'
    assert found['thermal', 'cv0-thermal'].note == 'asleep'
    assert found['over-current', 'oc3'].value == 4
    assert found['nvpmodel', '25W'].value == 1
    assert found['GPU', 'load'].value == pytest.approx(0.87)


def test_pmic_is_shown_and_said_to_be_left_out(tmp_path):
    reading = readings(fake_boards.nano(tmp_path))['thermal', 'PMIC-Die']
    assert (reading.value, reading.note) == (100.0, 'not of the chip, left out')


def test_bare_machine_says_that_there_is_no_power_sensor(tmp_path):
    found = readings(tmp_path)
    assert math.isnan(found['power', 'module'].value)
    assert found['power', 'module'].note == 'no power sensor found'


def test_this_machine_can_be_asked():
    assert any(reading.source == 'CPU' for reading in inventory())
