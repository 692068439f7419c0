# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of ultralytics behind our interface; and one clear line where it is not installed."""

from __future__ import annotations

import sys

import pytest
import torch

from uav_prune_perception.channels import prune
from uav_prune_perception.networks.registry import NetworkError, build_network


def test_its_absence_is_one_line_with_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ultralytics', None)
    monkeypatch.setitem(sys.modules, 'ultralytics.nn.tasks', None)
    with pytest.raises(NetworkError, match='pip install ultralytics') as caught:
        build_network('ultralytics', classes=2)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['yolov8n.yaml', 'yolo26n.yaml'])
def test_it_decodes_as_its_own_head_learns_and_is_cut_exactly(name):
    pytest.importorskip('ultralytics', reason='ultralytics is not installed')
    torch.manual_seed(0)
    model = build_network('ultralytics', classes=3, model=name)
    images = torch.rand(2, 3, 64, 96)
    targets = torch.tensor([[0, 1, 10, 10, 40, 60], [1, -1, 0, 0, 20, 20.0]])
    model.training_loss(model.train()(images), targets).backward()
    found = model.eval()(images[:1])
    head = model._head()
    head.training = False
    own = model.net(images[:1])[0]
    head.training = True
    half = own[:, 2:4] / 2
    corners = torch.cat([own[:, :2] - half, own[:, :2] + half], dim=1)
    assert torch.allclose(found[:, :4], corners, atol=1e-3)
    assert torch.allclose(found[:, 4:], own[:, 4:], atol=1e-5)
    answer = model.train()(images)
    assert model.decoded(answer).shape == (2, *found.shape[1:])
    small = prune(model, images[:1], 0.5).model
    assert torch.isfinite(small.training_loss(small.train()(images), targets))


@pytest.mark.parametrize(
    ('model', 'words'), [
        ('best.pt', 'no such file'), ('yolov8n', '.pt or .yaml'),
        ('yolov8n-seg.yaml', 'ends in Segment, and only boxes are learnt'),
        ('yolov8n-pose.yaml', 'ends in Pose'), ('yolov8n-obb.yaml', 'ends in OBB'),
        ('yolov8n-cls.yaml', 'ends in Classify'), ('rtdetr-l.yaml', 'ends in RTDETRDecoder'),
    ]
)
def test_a_wrong_model_is_one_line(model, words):
    pytest.importorskip('ultralytics', reason='ultralytics is not installed')
    with pytest.raises(NetworkError, match=words):
        build_network('ultralytics', classes=2, model=model)
