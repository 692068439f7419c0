# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.raspberry_pi import RaspberryPi, vcgencmd

ADC = """
   3V3_SYS_A current(1)=0.20000000A
   VDD_CORE_A current(7)=2.00000000A
     3V3_SYS_V volt(9)=3.30000000V
    VDD_CORE_V volt(15)=0.80000000V
      EXT5V_V volt(24)=5.15000000V
"""


def firmware(**answers):
    return lambda arguments: answers.get(arguments[0], '')


def test_pi_5_sums_the_rails_that_have_both_volts_and_amperes(tmp_path):
    pi = RaspberryPi(fake_boards.raspberry_pi_5(tmp_path), firmware(pmic_read_adc=ADC))
    assert [rail.name for rail in pi.rails()] == ['3V3_SYS', 'VDD_CORE']
    assert pi.power_w() == pytest.approx(0.66 + 1.6)


def test_pi_4_has_no_power_sensor(tmp_path):
    pi = RaspberryPi(fake_boards.raspberry_pi_4(tmp_path), firmware())
    assert math.isnan(pi.power_w())


def test_flags_from_sysfs(tmp_path):
    flags = RaspberryPi(fake_boards.raspberry_pi_4(tmp_path), firmware()).throttling()
    assert flags.now == ('under-voltage', 'throttled')
    assert flags.since_boot == ('under-voltage', 'throttled')


def test_flags_from_the_firmware_tool(tmp_path):
    root = fake_boards.raspberry_pi_5(tmp_path)
    flags = RaspberryPi(root, firmware(get_throttled='throttled=0x80008\n')).throttling()
    assert flags.now == flags.since_boot == ('soft temperature limit',)


def test_firmware_that_does_not_answer(tmp_path):
    pi = RaspberryPi(fake_boards.raspberry_pi_5(tmp_path), firmware(get_throttled='error=1'))
    assert pi.throttling() is None
    assert pi.rails() == []


def test_other_machines_are_not_asked(tmp_path):
    def forbidden(arguments):
        raise AssertionError(arguments)

    pi = RaspberryPi(fake_boards.orin_nano(tmp_path), forbidden)
    assert pi.throttling() is None
    assert math.isnan(pi.power_w())


def test_missing_tool_is_an_empty_answer(monkeypatch):
    monkeypatch.setenv('PATH', '')
    assert vcgencmd(['get_throttled']) == ''
