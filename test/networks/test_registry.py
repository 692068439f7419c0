# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from uav_prune_perception.networks.registry import NetworkError, build_network


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('resnet_cifar', {'depth': 20}),
        ('resnet_cifar', {'depth': 56, 'shortcut': 'B'}),
        ('resnet18', {'widths': [8, 16, 24, 32]}),
        ('resnet18', {'layers': [2, 2, 2], 'widths': [8, 16, 32], 'small_stem': False}),
        ('vgg_bn', {'depth': 11, 'width': 0.125}),
        ('imagenet_resnet18', {'widths': [8, 8, 16, 16]}),
        ('imagenet_resnet34', {'widths': [4, 4, 8, 8]}),
        ('imagenet_resnet50', {'widths': [4, 4, 4, 8]}),
    ],
)
def test_a_classifier_answers_one_logit_for_each_class(name, options):
    model = build_network(name, classes=7, channels=1, **options).eval()
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(NetworkError, match='did you mean "aerial_detector"'):
        build_network('arial_detector', classes=3)


@pytest.mark.parametrize(
    ('name', 'options', 'words'),
    [
        ('resnet_cifar', {'depth': 21}, '6n'),
        ('vgg_bn', {'depth': 12}, '11, 16, 19'),
        ('aerial_detector', {'strides': (16, 8)}, 'ascend'),
        ('aerial_detector', {'colour': 1}, 'colour'),
        ('resnet18', {'layers': [2, 2]}, 'differ in length'),
        ('resnet18', {'block': 'wide'}, "'basic' or 'bottleneck'"),
    ],
)
def test_a_wrong_option_is_one_clear_line(name, options, words):
    with pytest.raises(NetworkError, match=words) as caught:
        build_network(name, classes=3, **options)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('strides', 'cells'), [((8, 16), 320), ((4, 16), 1088), ((16,), 64)])
def test_the_detector_answers_raw_maps_in_training_and_boxes_in_flight(strides, cells):
    model = build_network('aerial_detector', classes=3, width=0.5, strides=strides)
    images = torch.zeros(2, 3, 128, 128)
    raw = model(images)
    assert [tuple(r.shape) for r in raw] == [(2, 7, 128 // s, 128 // s) for s in strides]
    output = model.eval()(images)
    assert output.shape == (2, 7, cells)
    assert output.dtype == torch.float32
    scores = output[:, 4:]
    assert 0 <= scores.min() <= scores.max() <= 1


def test_a_fresh_detector_puts_two_cell_squares_on_the_cell_centres():
    output = build_network('aerial_detector', classes=1, width=0.5).eval()(
        torch.zeros(1, 3, 64, 64)
    )
    boxes = output[0, :4].T
    assert torch.allclose(boxes[0], torch.tensor([-4.0, -4.0, 12.0, 12.0]), atol=1e-4)
    assert torch.allclose(boxes[8 * 8], torch.tensor([-8.0, -8.0, 24.0, 24.0]), atol=1e-4)


@pytest.mark.slow
def test_the_detector_exports_to_onnx_and_agrees(tmp_path):
    torch.manual_seed(0)
    model = build_network('aerial_detector', classes=2, channels=1, width=0.5).eval()
    images = torch.randn(1, 1, 64, 96)
    path = tmp_path / 'model.onnx'
    torch.onnx.export(
        model, (images,), path, dynamo=True, opset_version=18, input_names=['images'],
        external_data=False, verbose=False,
    )
    found = onnxruntime.InferenceSession(path).run(None, {'images': images.numpy()})[0]
    np.testing.assert_allclose(found, model(images).detach().numpy(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ('name', 'options', 'millions'),
    [  # as the papers and torchvision state them
        ('resnet_cifar', {'depth': 20, 'classes': 10}, 0.27),
        ('resnet_cifar', {'depth': 56, 'classes': 10}, 0.85),
        ('resnet_cifar', {'depth': 110, 'classes': 10}, 1.73),
        ('vgg_bn', {'depth': 16, 'classes': 10}, 14.73),
        ('vgg_bn', {'depth': 19, 'classes': 100}, 20.09),
        ('imagenet_resnet18', {'classes': 1000}, 11.69),
        ('imagenet_resnet34', {'classes': 1000}, 21.80),
        ('imagenet_resnet50', {'classes': 1000}, 25.56),
    ],
)
def test_a_named_network_has_its_published_number_of_parameters(name, options, millions):
    with torch.device('meta'):
        model = build_network(name, **options)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.02)
