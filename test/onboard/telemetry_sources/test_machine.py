# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fake_boards

from uav_prune_perception.onboard.telemetry.machine import (
    device_name,
    l4t_release,
    usable_cores,
)
from uav_prune_perception.onboard.telemetry.nvpmodel import NvpModel, PowerMode


def test_a_board_is_its_model_before_the_nul_and_its_power_mode(tmp_path):
    name = device_name(fake_boards.orin_nano(tmp_path))
    assert name == 'NVIDIA Jetson Orin Nano Developer Kit, 25W'


def test_a_board_in_a_container_that_hides_the_device_tree_s_usual_place(tmp_path):
    fake_boards.put(tmp_path, {'sys/firmware/devicetree/base/model': 'Raspberry Pi 5\0'})
    assert device_name(tmp_path) == 'Raspberry Pi 5'


def test_a_pc_is_its_processor_and_the_cores_we_may_use(tmp_path):
    fake_boards.put(tmp_path, {'proc/cpuinfo': 'processor: 0\nmodel name\t: Some CPU @ 3 GHz\n'})
    assert device_name(tmp_path) == f'Some CPU @ 3 GHz x{usable_cores()}'


def test_nothing_known(tmp_path):
    assert device_name(tmp_path).endswith(f' x{usable_cores()}')
    assert l4t_release(tmp_path) == ''
    assert NvpModel(tmp_path).mode() is None


def test_jetson_linux_release(tmp_path):
    assert l4t_release(fake_boards.orin_nano(tmp_path)) == '36.4.3'


def test_power_mode_with_its_name(tmp_path):
    assert NvpModel(fake_boards.orin_nano(tmp_path)).mode() == PowerMode(1, '25W')


def test_power_mode_without_a_table(tmp_path):
    fake_boards.put(tmp_path, {'var/lib/nvpmodel/status': 'pmode:0002 fmode:quiet'})
    assert NvpModel(tmp_path).mode() == PowerMode(2, '')
