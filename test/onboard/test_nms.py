# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uav_prune_perception.onboard import nms as module
from uav_prune_perception.onboard.nms import iou, nms


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_nms(boxes, scores, threshold, class_ids=None, max_kept=None):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        rivals = [j for j in kept if class_ids is None or class_ids[i] == class_ids[j]]
        if all(slow_iou(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(i)
    return kept[:max_kept]


# Whole numbers: areas are exact, so brute force and NumPy round alike. Boxes may lack area.
corner = st.integers(0, 12)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
row = st.tuples(box, st.integers(0, 5), st.integers(0, 3))  # box, score (with ties), class


@settings(max_examples=400, deadline=None)
@given(st.lists(row, max_size=40), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.booleans(),
       st.sampled_from([None, 0, 1, 5]), st.sampled_from([1, 3, 128]))
def test_equals_brute_force(rows, threshold, aware, max_kept, block):
    boxes = np.array([item[0] for item in rows], np.float64).reshape(-1, 4)
    scores = np.array([item[1] for item in rows], np.float64)
    classes = np.array([item[2] for item in rows], np.int64) if aware else None
    before, module.BLOCK = module.BLOCK, block
    try:
        kept = nms(boxes, scores, threshold, classes, max_kept)
    finally:
        module.BLOCK = before
    assert kept.dtype == np.int64
    assert kept.tolist() == slow_nms(boxes, scores, threshold, classes, max_kept)


@pytest.mark.parametrize('count', [300, 1000])
def test_many_boxes_cross_the_blocks(count):
    random = np.random.default_rng(count)
    start = random.integers(0, 400, (count, 2))
    boxes = np.hstack([start, start + random.integers(5, 60, (count, 2))]).astype(np.float64)
    scores = random.random(count)
    assert nms(boxes, scores, 0.4).tolist() == slow_nms(boxes, scores, 0.4)


def test_iou_of_known_boxes():
    first = np.array([[0, 0, 10, 10], [5, 5, 5, 9]], np.float64)
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float64)
    np.testing.assert_allclose(iou(first, second), [[1, 1 / 3, 0], [0, 0, 0]])
