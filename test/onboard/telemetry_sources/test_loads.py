# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import fake_boards
import pytest

from uav_prune_perception.onboard.telemetry.cpu_load import CpuLoad
from uav_prune_perception.onboard.telemetry.gpu_load import GpuLoad


@pytest.mark.parametrize(('board', 'load'), [
    (fake_boards.orin_nano, 0.87), (fake_boards.xavier_nx, 0.5), (fake_boards.nano, 0.123),
])
def test_gpu_load_counts_to_a_thousand(tmp_path, board, load):
    assert GpuLoad(board(tmp_path)).load() == pytest.approx(load)


def test_gpu_clock(tmp_path):
    clock = GpuLoad(fake_boards.orin_nano(tmp_path)).clock()
    assert (clock.current_hz, clock.max_hz) == (624.75e6, 1020e6)
    assert clock.governor == 'nvhost_podgov'


def test_no_gpu(tmp_path):
    gpu = GpuLoad(tmp_path)
    assert not gpu.probe()
    assert math.isnan(gpu.load())
    assert math.isnan(gpu.clock().current_hz)


def test_cpu_load_is_of_the_time_between_two_calls(tmp_path):
    cpu = CpuLoad(fake_boards.x86(tmp_path))
    # 30 busy, 10 idle, 10 waiting for the disk; the guest column is inside user.
    (tmp_path / 'proc/stat').write_text('cpu  130 0 100 810 10 0 0 0 30 0\ncpu0 1 2 3 4 5\n')
    assert cpu.load() == pytest.approx(30 / 50)
    assert math.isnan(cpu.load())  # no tick since


@pytest.mark.parametrize('content', ['', 'cpu', 'cpu a b c d e', 'intr 1 2 3 4 5 6'])
def test_garbage_is_unknown(tmp_path, content):
    fake_boards.put(tmp_path, {'proc/stat': content})
    assert math.isnan(CpuLoad(tmp_path).load())
