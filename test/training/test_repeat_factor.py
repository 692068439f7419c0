# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rare classes are shown more often, as the recipe asks; epochs stay as long as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uav_prune_perception.datasets.detection_set import DatasetError, DetectionSet, DetectionSplit
from uav_prune_perception.training.detection_task import DetectionTask
from uav_prune_perception.training.repeat_factor import repeat_factors, repeated
from uav_prune_perception.training.task_factory import make_task

COUNT, RARE, BATCH = 64, (3, 40), 8


def task(threshold):
    """Class 0 in every picture, class 1 in two of 64, which are the bright ones."""
    images = np.full((COUNT, 16, 16, 1), 20, np.uint8)
    images[list(RARE)] = 220
    labels = [np.array([0, 1] if i in RARE else [0], np.int64) for i in range(COUNT)]
    boxes = [np.array([[2, 2, 10, 10]] * len(own), np.float32) for own in labels]
    split = DetectionSplit(images, boxes, labels)
    data = DetectionSet(('car', 'van'), lambda name: split, '')
    return DetectionTask(data, repeat_threshold=threshold)


def bright(threshold, epochs=40):
    """How many bright pictures were shown; and of how many in all."""
    own, seen, every = task(threshold), 0, 0
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(epoch)
        for images, targets in own.train_batches(epoch, BATCH, generator):
            seen += int((targets[:, 1] == 1).sum())
            every += len(images)
    return seen, every


def test_factors_are_those_of_the_paper():
    labels = [np.array(own, np.int64) for own in ([0], [0, 0, 1], [0], [], [2, 0], [2], [0], [0])]
    factors = repeat_factors(labels, 4, 0.5)
    rare, some = (0.5 / (1 / 8)) ** 0.5, (0.5 / (2 / 8)) ** 0.5
    np.testing.assert_allclose(factors, [1, rare, 1, 1, some, some, 1, 1])
    np.testing.assert_array_equal(repeat_factors(labels, 4, 0.0), np.ones(8))


def test_fractions_are_met_on_average():
    rng = np.random.default_rng(0)
    factors = np.array([1.0, 2.25, 1.5])
    shown = np.bincount(np.concatenate([repeated(factors, rng) for _ in range(2000)]))
    np.testing.assert_allclose(shown / 2000, factors, atol=0.05)


def test_rare_pictures_come_more_often_in_epochs_of_the_same_length():
    rarely, length = bright(0.0)
    often, same = bright(1.0)
    assert length == same == 40 * COUNT
    # Factor sqrt(32) of two in 64: 11.3 of 73.3 showings, of which 64 are taken
    assert rarely == pytest.approx(2 * 40, abs=3)
    assert often == pytest.approx(40 * 64 * 11.3 / 73.3, rel=0.1)


def test_mosaics_are_completed_from_the_same_pool(monkeypatch):
    own = task(1.0)
    own.augmentation = type(own.augmentation)(mosaic=1.0, scale=0, shift=0)
    generator = torch.Generator().manual_seed(0)
    rows = [targets for _, targets in own.train_batches(0, BATCH, generator)]
    kinds = torch.cat(rows)[:, 1]
    assert float((kinds == 1).float().mean()) > 0.07  # 0.03 where nothing is repeated


def test_few_pictures_make_batches_that_parts_can_share():
    own = task(1.0)
    (images, _), = own.train_batches(0, 2 * COUNT, torch.Generator().manual_seed(0))
    assert len(images) == COUNT


def test_parts_of_a_batch_are_those_of_the_whole():
    own = task(0.5)
    whole = list(own.train_batches(0, BATCH, torch.Generator().manual_seed(3)))
    parts = [
        list(own.train_part(0, BATCH, torch.Generator().manual_seed(3), rank, 2) or ())
        for rank in (0, 1)
    ]
    for (images, _), (first, _), (second, _) in zip(whole, *parts, strict=True):
        torch.testing.assert_close(images, torch.cat([first, second]))


@pytest.mark.parametrize('value', [-0.1, 1.5, 'much', True])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(DatasetError, match=r'data\.repeat_threshold: needs a share'):
        make_task({'kind': 'generated_scenes', 'repeat_threshold': value})


def test_a_recipe_s_threshold_reaches_the_task():
    made = make_task({
        'kind': 'generated_scenes', 'train': 4, 'val': 2, 'test': 2, 'repeat_threshold': 0.3,
    })
    assert isinstance(made, DetectionTask)
    assert made.repeat_threshold == made.with_decode().repeat_threshold == 0.3
