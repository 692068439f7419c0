# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.training.augmentation import Augmentation, augment
from uav_prune_perception.training.mosaic import mosaic

PLAIN = Augmentation(gain=0.0, offset=0.0)


def test_boxes_follow_the_pixels():
    """A white rectangle on black stays inside its box, whatever the turn, flip and scale."""
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(40):
        image = np.zeros((64, 96, 3), np.uint8)
        image[20:32, 40:64] = 255
        box = np.array([[40, 20, 64, 32]], np.float32)
        out, boxes, keep = augment(image, box, rng, PLAIN, pad_value=0)
        assert out.shape == image.shape
        if not keep[0]:
            continue
        y, x = np.nonzero(out[..., 0] > 127)
        np.testing.assert_allclose(
            [x.min(), y.min(), x.max() + 1, y.max() + 1], boxes[0], atol=1.6
        )
        seen += 1
    assert seen > 20


def test_a_box_that_leaves_no_longer_counts():
    rng = np.random.default_rng(1)
    options = Augmentation(flip=False, quarter_turns=False, scale=0.0, shift=0.9)
    box = np.array([[0, 0, 8, 8]], np.float32)
    kept = [augment(np.zeros((64, 64, 1), np.uint8), box, rng, options)[2][0] for _ in range(40)]
    assert 0 < sum(kept) < 40


def test_grey_pictures_keep_their_shape():
    rng = np.random.default_rng(2)
    out, _, _ = augment(
        np.full((32, 48, 1), 90, np.uint8), np.zeros((0, 4), np.float32), rng, Augmentation()
    )
    assert out.shape == (32, 48, 1)


@pytest.mark.parametrize('seed', range(6))
def test_boxes_of_a_mosaic_lie_around_what_they_mark(seed):
    """Four pictures, each with one bright block in a channel of its own."""
    rng = np.random.default_rng(seed)
    options = Augmentation(scale=0.2, gain=0.0, offset=0.0, mosaic=1.0)
    pictures = []
    for index in range(4):
        image = np.zeros((64, 96, 4), np.uint8)
        x, y = int(rng.integers(8, 60)), int(rng.integers(8, 40))
        image[y:y + 12, x:x + 20, index] = 255
        box = np.array([[x, y, x + 20, y + 12]], np.float32)
        pictures.append((image, box, np.array([index])))
    image, boxes, labels = mosaic(pictures, rng, options, pad_value=0)
    assert image.shape == (64, 96, 4)
    assert len(labels)
    for box, label in zip(boxes, labels, strict=True):
        rows, columns = np.nonzero(image[..., label] > 127)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(box - found).max() <= 1.5
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= [96, 64]).all()
