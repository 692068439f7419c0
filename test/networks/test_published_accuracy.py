# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Published networks keep their stated accuracy through our readers, names and normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest

from uav_prune_perception.datasets.classification_set import ClassificationSet, ClassificationSplit
from uav_prune_perception.datasets.eurosat import resized
from uav_prune_perception.datasets.mosaic_pack import read_mosaic_pack
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.networks.weights import load_weights, stated_normalisation
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.task import torch_predict

SHARED = Path('/work/shared/data')
EUROSAT = {'widths': (32, 64, 128)}
COUNT = 400  # pictures; three standard deviations of 93 % on so many are 3.8 points


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason='no published weights at /work/shared/data')
@pytest.mark.parametrize(
    ('file', 'network', 'options', 'pack', 'stated'),
    [
        ('cifar10_resnet20', 'resnet_cifar', {'depth': 20}, 'cifar10/cifar10_test', 0.9173),
        ('cifar10_resnet56', 'resnet_cifar', {'depth': 56}, 'cifar10/cifar10_test', 0.9339),
        ('eurosat_resnet_baseline', 'resnet18', {'layers': (2, 2, 2), **EUROSAT},
         'eurosat_rgb/eurosat_test', 0.9543),
        ('eurosat_resnet_tuned', 'resnet18', {'layers': (3, 2, 2), **EUROSAT},
         'eurosat_rgb/eurosat_test', 0.9442),
    ],
)
def test_a_published_network_keeps_its_accuracy(file, network, options, pack, stated):
    weights = SHARED / 'weights' / f'{file}.safetensors'
    whole, classes = read_mosaic_pack(SHARED / f'{pack}.npz')
    split = resized(ClassificationSplit(whole.images[:COUNT], whole.labels[:COUNT]), 32)
    mean, std = stated_normalisation(weights)
    data = ClassificationSet(classes, {'train': split, 'val': split, 'test': split})
    task = ClassificationTask(data, mean=mean * (3 // len(mean)), std=std * (3 // len(std)))
    model = build_network(network, classes=10, **options)
    load_weights(model, weights)
    found = task.evaluate(torch_predict(model), 'test', 100).value
    assert found == pytest.approx(stated, abs=0.038)
