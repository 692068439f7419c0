# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.detection_decode import found_objects
from uav_prune_perception.training.detection_loss import (
    DetectionLossOptions,
    ciou,
    detection_loss,
    distillation_loss,
)

OPTIONS = DetectionLossOptions()


def network(classes=2):
    torch.manual_seed(0)
    return build_network('aerial_detector', classes=classes, width=0.5)


def test_a_few_steps_overfit_one_scene_with_tiny_boxes():
    """A 3x3 box that contains no cell centre, a close pair, a large one."""
    model = network()
    torch.manual_seed(1)
    images = torch.randn(1, 3, 64, 64)
    boxes = [[17.5, 17.5, 20.5, 20.5], [30, 30, 42, 40], [40, 32, 52, 44], [2, 30, 28, 60]]
    labels = [0, 1, 1, 0]
    rows = [[0, c, *b] for c, b in zip(labels, boxes, strict=True)]
    targets = torch.tensor(rows, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        detection_loss(model(images), targets, 64, OPTIONS).backward()
        optimizer.step()
    with torch.no_grad():
        # Batch statistics: on one picture the running ones lag behind
        raw = model(images)
    from uav_prune_perception.networks.cell_boxes import decode

    output = decode(raw, model.strides, model.classes)[0].numpy()
    found = found_objects(output, score_threshold=0.4)
    assert len(found.boxes) == 4
    for label, box in zip(labels, boxes, strict=True):
        gap = abs(found.boxes - torch.tensor(box).numpy()).max(axis=1)
        assert gap.min() < 1.5
        assert found.labels[gap.argmin()] == label


def test_no_object_at_all_still_gives_a_gradient():
    model = network()
    loss = detection_loss(model(torch.randn(2, 3, 64, 64)), torch.zeros(0, 6), 64, OPTIONS)
    loss.backward()
    assert loss > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_an_ignored_region_costs_nothing():
    raw = [torch.zeros(1, 5, 8, 8), torch.zeros(1, 5, 4, 4)]
    everything = torch.tensor([[0, -1, 0, 0, 64, 64]], dtype=torch.float32)
    assert detection_loss(raw, everything, 64, OPTIONS) == 0
    assert detection_loss(raw, torch.zeros(0, 6), 64, OPTIONS) > 0


def test_ciou_is_one_for_equal_boxes_and_falls_with_distance():
    box = torch.tensor([[10.0, 10.0, 20.0, 30.0]])
    assert ciou(box, box).item() == pytest.approx(1.0)
    near, far = ciou(box, box + 15).item(), ciou(box, box + 60).item()
    assert 0 > near > far > -1.5


def test_a_student_equal_to_its_teacher_has_nothing_to_learn():
    model = network()
    raw = [r.detach() for r in model(torch.randn(1, 3, 64, 64))]
    from uav_prune_perception.networks.cell_boxes import decode

    teacher = decode(raw, model.strides, model.classes)
    assert distillation_loss(raw, teacher, 64).item() == pytest.approx(0.0, abs=1e-4)
    assert distillation_loss([r + 1 for r in raw], teacher, 64) > 1e-3
