# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Built-in detectors: learn, prune exactly through the channel graph, export, decode."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from uav_prune_perception.channels import prune
from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.networks.cell_boxes import decode_boxes
from uav_prune_perception.networks.registry import NetworkError, build_network
from uav_prune_perception.training.detection_decode import found_objects
from uav_prune_perception.training.detection_loss import (
    DetectionLossOptions,
    decoded_distillation_loss,
    detection_loss,
)

FORMS = {
    'plain': {'width': 0.125, 'strides': [8, 16]},
    'bins': {'width': 0.125, 'strides': [4, 8], 'bins': 4},
}


@pytest.mark.parametrize('form', FORMS)
def test_yolo_learns_and_is_cut_exactly(form):
    torch.manual_seed(0)
    model = build_network('yolo', classes=2, channels=1, **FORMS[form])
    images = torch.randn(2, 1, 64, 96)
    targets = torch.tensor([[0, 1, 10, 10, 30, 40], [1, 0, 50, 20, 60, 30.0]])
    loss = detection_loss(model.train()(images), targets, 96, DetectionLossOptions(), 2)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.eval()
    result = prune(model, images[:1], 0.5, residual=True)  # raises where it is not exact
    assert result.report.compact.macs < 0.5 * result.report.dense.macs
    assert result.model(images[:1]).shape == model(images[:1]).shape


@pytest.mark.parametrize(
    ('name', 'options', 'size'),
    [
        ('yolov5', {'width': 0.125}, 64), ('ssd300', {'norm': True, 'width': 0.03}, 300),
    ],
)
def test_detectors_with_a_loss_of_their_own_learn_and_are_cut_exactly(name, options, size):
    torch.manual_seed(0)
    model = build_network(name, classes=2, channels=1, **options)
    images = torch.randn(2, 1, size, size)
    targets = torch.tensor([
        [0, 1, 10, 10, 30, 40], [1, 0, 50, 20, 60, 30.0], [1, -1, 0, 0, 20, 20]
    ])
    loss = model.training_loss(model.train()(images), targets)
    loss.backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert torch.isfinite(loss)
    assert not missing
    nothing = model.training_loss(model(images), targets[:0])
    assert torch.isfinite(nothing)
    model.eval()
    result = prune(model, images[:1], 0.5, residual=True)
    assert result.report.compact.macs < 0.5 * result.report.dense.macs
    assert result.model(images[:1]).shape[:2] == (1, 6)


@pytest.mark.parametrize(
    ('name', 'options', 'size'),
    [
        ('yolov5', {'width': 0.125}, 64), ('ssd300', {'norm': True, 'width': 0.03}, 300),
    ],
)
def test_a_teacher_pulls_detectors_with_a_loss_of_their_own(name, options, size):
    torch.manual_seed(0)
    model, teacher = (build_network(name, classes=2, channels=1, **options) for _ in range(2))
    images = torch.randn(2, 1, size, size)
    with torch.no_grad():
        wanted = teacher.eval()(images)
        teacher.training = True  # it alone: its BatchNorm goes on as in evaluation
        torch.testing.assert_close(teacher.decoded(teacher(images)), wanted)
    away = lambda: decoded_distillation_loss(model.decoded(model(images)), wanted)  # noqa: E731
    assert decoded_distillation_loss(wanted, wanted) == pytest.approx(0.0, abs=1e-3)
    first = away().item()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(8):
        optimizer.zero_grad()
        loss = away()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * first


def test_published_shapes():
    with torch.device('meta'):
        yolo = build_network('yolov5', classes=80, size='s')
        ssd = build_network('ssd300', classes=20)
    count = lambda model: sum(p.numel() for p in model.parameters()) / 1e6  # noqa: E731
    assert count(yolo) == pytest.approx(7.235, abs=1e-3)  # YOLOv5s v6 on COCO
    assert count(ssd) == pytest.approx(26.285, abs=1e-3)  # SSD300 on VOC
    assert ssd.default.shape == (4, 8732)
    other = build_network('ssd300', classes=2, channels=1, width=0.03)
    boxes, _, default = other(torch.zeros(1, 1, 320, 340))
    assert boxes.shape[1:] == default.shape


@pytest.mark.parametrize(
    ('options', 'words'),
    [({'strides': (8, 32)}, 'neighbours'), ({'strides': ()}, 'neighbours'),
     ({'strides': (2, 4)}, 'neighbours'), ({'size': 'x'}, 'n, s'), ({'bins': 0}, 'bins')],
)
def test_a_wrong_option_of_yolo_is_one_clear_line(options, words):
    with pytest.raises(NetworkError, match=words):
        build_network('yolo', classes=2, **options)


def test_distances_are_the_mean_of_their_distribution():
    raw = torch.zeros(1, 4 * 3 + 1, 1, 1)
    raw[0, [0, 5, 6, 10], 0, 0] = 50.0  # left 0, top 2, right 0, bottom 1 cells
    assert decode_boxes(raw, 8, 1).flatten().tolist() == pytest.approx([4, -12, 4, 12])


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'options', 'size'),
    [('yolo', {'width': 0.125, 'bins': 4}, 64), ('yolov5', {'width': 0.125}, 64),
     ('ssd300', {'width': 0.03}, 300)],
)
def test_an_exported_detector_agrees_and_the_drone_reads_it(tmp_path, name, options, size):
    torch.manual_seed(0)
    model = build_network(name, classes=2, channels=1, **options).eval()
    images = torch.randn(1, 1, size, size)
    path = export_onnx(
        model, images, tmp_path / 'model.onnx', input_name='images', output_name='predictions'
    )
    found = onnxruntime.InferenceSession(path).run(None, {'images': images.numpy()})[0]
    wanted = model(images).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-2)
    seen = found_objects(found[0], score_threshold=0.0)
    assert np.isfinite(seen.boxes).all()
    assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()
