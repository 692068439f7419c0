# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: sane numbers at every moment, the real recordings where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uav_prune_perception.demo.camera import Camera, CameraFrame, generated_camera, hit_uav_camera
from uav_prune_perception.demo.scenario import MadeUpScenario, RecordedScenario, Scenario

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
needs_shared = pytest.mark.skipif(
    not (SHARED / 'telemetry').is_dir(), reason=f'the real recordings are not at {SHARED}'
)


def _check(scenario: Scenario) -> None:
    times = np.linspace(-1, scenario.duration_s + 5, 300)
    moments = [scenario.at(float(t)) for t in times]
    assert all(0 <= m.battery_fraction <= 1 for m in moments)
    assert all(2.5 < m.battery_voltage_v < 4.3 for m in moments)
    assert {m.burners for m in moments} >= {0, 3}, 'load must come and go'
    assert moments[0].battery_fraction > 0.5 > 0.3 > moments[-1].battery_fraction
    assert len({m.phase for m in moments}) >= 3


def test_made_up_flight() -> None:
    _check(MadeUpScenario())


@needs_shared
def test_recorded_flight() -> None:
    scenario = RecordedScenario(SHARED / 'telemetry')
    _check(scenario)
    burning = [scenario.at(t) for t in (30.0, 50.0, 110.0)]
    assert all(moment.power_w > 12 for moment in burning)


def test_camera_plays_forth_and_back() -> None:
    empty = np.zeros((0, 4), np.float32)
    clip = [
        CameraFrame(np.full((2, 2), i, np.uint8), empty, np.zeros(0, np.int64)) for i in range(3)
    ]
    camera = Camera(clip, 'mono8', 'test')
    assert [int(camera.frame(i).image[0, 0]) for i in range(8)] == [0, 1, 2, 1, 0, 1, 2, 1]


def test_generated_camera_truth_lies_in_the_picture() -> None:
    camera = generated_camera(frames=3)
    assert camera.encoding == 'bgr8'
    for frame in camera.frames:
        height, width = frame.image.shape[:2]
        assert frame.image.dtype == np.uint8
        assert (frame.boxes[:, 2:] > frame.boxes[:, :2]).all()
        assert (frame.boxes <= np.array([width, height, width, height])).all()
    assert sum(len(frame.boxes) for frame in camera.frames) > 0


@needs_shared
def test_real_camera() -> None:
    camera = hit_uav_camera(SHARED / 'hit_uav', frames=4)
    assert camera.encoding == 'mono8'
    assert camera.frames[0].image.shape == (512, 640)
    assert sum(len(frame.boxes) for frame in camera.frames) > 0
