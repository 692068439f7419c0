# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.rapl import Rapl

COUNTER = 'sys/class/powercap/intel-rapl:0/energy_uj'


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_mean_power_of_the_package_alone(tmp_path, clock):
    rapl = Rapl(fake_boards.x86(tmp_path), clock)
    assert math.isnan(rapl.power_w())
    clock.now_s = 2.0
    (tmp_path / COUNTER).write_text(str(262_000_000_000 + 30_000_000))
    (rail,) = rapl.rails()
    assert (rail.name, rail.power_w) == ('package-0', pytest.approx(15.0))


def test_wrap_around(tmp_path, clock):
    rapl = Rapl(fake_boards.x86(tmp_path), clock)
    rapl.power_w()
    clock.now_s = 10.0
    (tmp_path / COUNTER).write_text('6671150')  # 143 328 850 uJ up to the top, and these
    assert rapl.power_w() == pytest.approx(15.0)


def test_permission_denied_is_said_and_is_nan(tmp_path, clock, monkeypatch):
    fake_boards.x86(tmp_path)
    path_type = type(tmp_path)
    read_bytes = path_type.read_bytes

    def read(path):
        if path.name == 'energy_uj':
            raise PermissionError(13, 'Permission denied')
        return read_bytes(path)

    monkeypatch.setattr(path_type, 'read_bytes', read)
    rapl = Rapl(tmp_path, clock)
    assert rapl.denied
    rapl.power_w()
    clock.now_s = 1.0
    assert math.isnan(rapl.power_w())


def test_reset_of_the_counter_is_no_power(tmp_path, clock):
    rapl = Rapl(fake_boards.x86(tmp_path), clock)
    rapl.power_w()
    clock.now_s = 0.1
    (tmp_path / COUNTER).write_text('200000000000')
    assert math.isnan(rapl.power_w())


def test_no_counters(tmp_path):
    rapl = Rapl(tmp_path)
    assert not rapl.denied
    assert math.isnan(rapl.power_w())
