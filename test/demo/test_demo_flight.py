# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A short flight of a tiny ladder: the real node, real DDS, real contention, a real record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from tiny_ladder import make_detection_ladder

from uav_prune_perception.demo.camera import CameraFrame, generated_camera
from uav_prune_perception.demo.flight import FlightError, FlightPlan, fly
from uav_prune_perception.demo.scenario import MadeUpScenario
from uav_prune_perception.report.flight_page import final_counters, flight_page

pytestmark = [pytest.mark.dds, pytest.mark.slow]


def _plan(folder: Path, seconds: float) -> FlightPlan:
    return FlightPlan('test', fps=10, deadline_ms=500.0, log=folder / 'node.log', device='none',
                      duration_s=seconds)


def test_flight_is_recorded_and_every_frame_is_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)
    ladder = make_detection_ladder(tmp_path / 'ladder')
    phases = []
    # With half a second to answer, only the sagging battery moves the level; for the lightest it
    # is low enough in the last tenth of the flight, which a busy machine must not sleep through.
    record = fly(
        ladder, generated_camera(frames=20), MadeUpScenario(burners=1), _plan(tmp_path, 16.0),
        lambda station, phase: phases.append(phase),
    )
    counters = final_counters(record)
    assert counters['received'] > 40
    assert counters['received'] == sum(
        counters[key] for key in ('processed', 'replaced', 'stale', 'failed')
    )
    assert len(record.frames) > 30
    assert record.levels[0].level == ladder.levels[0].name
    lightest = ladder.levels[-1].name
    assert record.levels[-1].level == lightest
    assert 'battery' in record.levels[-1].reason
    assert {'nominal', 'battery sags'} <= set(phases)
    page = flight_page(ladder, record)
    assert record.levels[-1].reason.split(':')[0] in page


def test_a_node_that_cannot_start_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)
    ladder = make_detection_ladder(tmp_path / 'ladder')
    for level in ladder.levels:  # one sound level would fly
        model = ladder.file(level)
        model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(FlightError, match=r'refused.*node\.log'):
        fly(ladder, generated_camera(frames=3), MadeUpScenario(), _plan(tmp_path, 2.0),
            lambda station, phase: None)
    assert 'model.onnx' in (tmp_path / 'node.log').read_text()


def test_matches_need_the_class_and_are_counted_once() -> None:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    from uav_prune_perception.demo.truth import count_matches

    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)
    frame = CameraFrame(np.zeros((50, 50, 3), np.uint8), boxes, np.array([0, 1]))

    def detection(cx: float, cy: float, size: float, class_id: str) -> Detection2D:
        message = Detection2D()
        message.bbox.center.position.x = float(cx)
        message.bbox.center.position.y = float(cy)
        message.bbox.size_x = message.bbox.size_y = float(size)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = class_id
        message.results.append(hypothesis)
        return message

    def count(*detections: Detection2D) -> int:
        message = Detection2DArray(detections=list(detections))
        return count_matches(frame, message, ('car', 'person'))

    assert count() == 0
    assert count(detection(5, 5, 10, '0'), detection(30, 30, 20, 'person')) == 2
    assert count(detection(5, 5, 10, '0'), detection(5, 5, 9, '0')) == 1
    assert count(detection(5, 5, 10, '1')) == 0
    assert count(detection(5, 9, 10, '0')) == 0  # IoU 0.43
