# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Confusion and curves, counted by hand; the area under a curve is the average precision."""

from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.export.evaluation_details import (
    Witness,
    classification_details,
    detection_details,
)
from uav_prune_perception.training.detection_metrics import Detections, Truth, average_precision


def boxes(*corners):
    return np.array(corners, np.float32).reshape(-1, 4)


def found(corners, scores, labels):
    return Detections(boxes(*corners), np.array(scores, np.float32), np.array(labels, np.int64))


A, B, C, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (80, 80, 90, 90)


def test_a_picture_counted_by_hand():
    real = [(boxes(A, B, C), np.array([0, 1, 1]), boxes(FAR))]
    said = [found([A, B, FAR, (60, 0, 70, 10), C], [0.9, 0.8, 0.7, 0.6, 0.1], [0, 0, 0, 1, 1])]
    made = detection_details(said, real, ('car', 'boat'), threshold=0.25)
    # car found; boat taken for a car; a boat out of nothing; the other boat below the threshold;
    # what lies in the region to ignore is nothing
    assert made['confusion'] == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert made['curves']['car'] == [1.0] * 21
    assert made['curves']['boat'][:11] == [0.5] * 11, 'one of two, after one mistake'
    assert made['curves']['boat'][11:] == [0.0] * 10


def test_curves_agree_with_the_average_precision():
    random = np.random.default_rng(0)
    said, real = [], []
    for _ in range(30):
        at = random.uniform(0, 200, (6, 2))
        corners = np.hstack([at, at + 20]).astype(np.float32)
        labels = random.integers(0, 2, 6)
        real.append((corners, labels, boxes()))
        near = corners + random.normal(0, 2.5, corners.shape).astype(np.float32)
        shown = random.uniform(size=6) < 0.8
        said.append(Detections(
            near[shown], random.uniform(0.1, 1, shown.sum()).astype(np.float32),
            np.where(random.uniform(size=shown.sum()) < 0.9, labels[shown], 1 - labels[shown]),
        ))
    made = detection_details(said, real, ('a', 'b'), threshold=0.25)
    truths = [Truth(*one) for one in real]
    wanted = average_precision(said, truths, 2)[:, 0]
    for label, name in enumerate('ab'):
        assert np.mean(made['curves'][name]) == pytest.approx(wanted[label], abs=0.03)


def test_a_classifier_and_who_is_too_many():
    made = classification_details(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert made['confusion'] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert classification_details(np.array([0]), np.array([0]), 1000) == {}


def test_a_witness_changes_nothing():
    witness = Witness(lambda images: images[:, :3], 'classification')
    pictures = np.eye(4, dtype=np.float32)
    assert np.array_equal(witness(pictures), pictures[:, :3])
    assert witness.answers == [0, 1, 2, 0]
