# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fake_boards

from uav_prune_perception.onboard.telemetry.machine import board_model, l4t_release
from uav_prune_perception.onboard.telemetry.nvpmodel import NvpModel, PowerMode


def test_model_ends_before_the_nul(tmp_path):
    assert board_model(fake_boards.orin_nano(tmp_path)) == 'NVIDIA Jetson Orin Nano Developer Kit'


def test_model_of_a_pc_is_its_product_name(tmp_path):
    assert board_model(fake_boards.x86(tmp_path)) == 'NUC11TNKi5'


def test_nothing_known(tmp_path):
    assert board_model(tmp_path) == ''
    assert l4t_release(tmp_path) == ''
    assert NvpModel(tmp_path).mode() is None


def test_jetson_linux_release(tmp_path):
    assert l4t_release(fake_boards.orin_nano(tmp_path)) == '36.4.3'


def test_power_mode_with_its_name(tmp_path):
    assert NvpModel(fake_boards.orin_nano(tmp_path)).mode() == PowerMode(1, '25W')


def test_power_mode_without_a_table(tmp_path):
    fake_boards.put(tmp_path, {'var/lib/nvpmodel/status': 'pmode:0002 fmode:quiet'})
    assert NvpModel(tmp_path).mode() == PowerMode(2, '')
