# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from uav_prune_perception.onboard.frame_flow import FrameFlow
from uav_prune_perception.onboard.policy.base import FrameTime


def test_lets_in_every_nth_frame():
    flow = FrameFlow()
    flow.divide(3)
    assert [flow.admit(n / 30) for n in range(7)] == [False, False, True] * 2 + [False]
    flow.divide(1)
    assert all(flow.admit(1 + n / 30) for n in range(5))


def test_nonsense_divider_lets_everything_in():
    flow = FrameFlow()
    flow.divide(0)
    assert flow.admit(0.0)


def test_rate_is_of_the_last_second_and_counts_what_is_left_out():
    flow = FrameFlow()
    flow.divide(4)
    for n in range(60):
        flow.admit(n / 60)
    for n in range(15):
        flow.admit(1 + n / 15)
    assert flow.input_hz(2.0) == pytest.approx(15.0)


def test_rate_is_unknown_without_frames():
    flow = FrameFlow()
    assert math.isnan(flow.input_hz(0.0))
    for n in range(30):
        flow.admit(n / 30)
    assert math.isnan(flow.input_hz(60.0))


def test_frames_are_handed_out_once():
    flow = FrameFlow()
    flow.processed(1, 20.0, 18.0)
    assert flow.take() == (FrameTime(1, 20.0, 18.0),)
    assert flow.take() == ()


def test_memory_is_bounded():
    flow = FrameFlow()
    for n in range(5000):
        flow.admit(n / 30)
        flow.processed(0, 1.0, 1.0)
    assert len(flow.take()) <= 512


def test_the_divider_counts_each_camera_for_itself():
    flow = FrameFlow()
    flow.divide(2)
    let_in = [flow.admit(n / 60, camera) for n in range(4) for camera in ('front', 'down')]
    assert let_in == [False, False, True, True] * 2
