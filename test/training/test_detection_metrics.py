# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.training.detection_metrics import (
    Detections,
    Truth,
    at_threshold,
    average_precision,
    average_precision_by_size,
)

NONE = np.zeros((0, 4), np.float32)


def truth(boxes, labels=None, ignore=NONE):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), int) if labels is None else np.array(labels)
    return Truth(boxes, labels, np.array(ignore, np.float32).reshape(-1, 4))


def found(boxes, scores, labels=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), int) if labels is None else np.array(labels)
    return Detections(boxes, np.array(scores, np.float32), labels)


def test_perfect_is_one_and_nothing_is_zero():
    real = [truth([[0, 0, 10, 10], [20, 20, 30, 30]])]
    assert average_precision([found(real[0].boxes, [0.9, 0.8])], real, 1).mean() == 1.0
    assert average_precision([found(NONE, [])], real, 1).mean() == 0.0


def test_a_case_counted_by_hand():
    """Hit, miss, hit on two objects: precision 1 up to recall 0.5, then 2/3."""
    real = [truth([[0, 0, 10, 10], [20, 20, 30, 30]])]
    guess = [found([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30]], [0.9, 0.8, 0.7])]
    expected = (51 * 1.0 + 50 * 2 / 3) / 101
    assert average_precision(guess, real, 1)[0, 0] == pytest.approx(expected)


def test_an_object_is_found_only_once():
    real = [truth([[0, 0, 10, 10]])]
    guess = [found([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8])]
    assert average_precision(guess, real, 1)[0, 0] == 1.0
    guess = [found([[0, 0, 10, 4], [0, 0, 10, 10]], [0.9, 0.8])]  # overlap 0.4, then 1.0
    assert average_precision(guess, real, 1)[0, 0] == pytest.approx(0.5)


def test_thresholds_classes_and_ignored_regions():
    real = [truth([[0, 0, 10, 10]], ignore=[[40, 40, 60, 60]])]
    guess = [found([[45, 45, 50, 50], [0, 0, 10, 7]], [0.9, 0.8])]  # overlap 0.7
    result = average_precision(guess, real, 2)
    assert result[0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert np.isnan(result[1]).all()


def test_sizes_are_judged_apart_by_the_limits_given():
    real = [truth([[0, 0, 10, 10], [40, 40, 80, 80]])]
    guess = [found([[0, 0, 10, 10]], [0.9])]
    every, small, medium, large = average_precision_by_size(guess, real, 1, size_limits=(20, 60))
    assert (small[0, 0], medium[0, 0]) == (1.0, 0.0)
    assert np.isnan(large[0, 0])
    assert every[0, 0] == pytest.approx(51 / 101)
    nothing = average_precision_by_size([found(NONE, [])], real, 1, size_limits=(20, 60))
    assert nothing[1, 0, 0] == 0.0
    assert np.isnan(nothing[3, 0, 0])


def test_precision_and_recall_as_flown():
    real = [truth([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 1], ignore=[[40, 40, 60, 60]])]
    boxes = [[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [45, 45, 50, 50]]
    guess = [found(boxes, [0.9, 0.8, 0.7, 0.6], [0, 0, 0, 0])]  # hit, twice, wrong class, ignored
    assert at_threshold(guess, real) == (pytest.approx(1 / 3), 0.5)
    assert at_threshold([found(NONE, [])], real) == (1.0, 0.0)
    assert at_threshold([found(NONE, [])], [truth(NONE)]) == (1.0, 1.0)


def test_agrees_with_pycocotools():
    coco = pytest.importorskip('pycocotools.coco', reason='pycocotools is not installed')
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    real, guess = [], []
    for _ in range(40):
        corner = rng.uniform(0, 200, (8, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 60, (8, 2))], 1)
        labels = rng.integers(0, 3, 8)
        real.append(truth(boxes, labels))
        shaken = boxes[:6] + rng.normal(0, 4, (6, 4))
        shaken[:, 2:] = np.maximum(shaken[:, 2:], shaken[:, :2] + 1)
        extra = boxes[:4] + rng.normal(0, 60, (4, 1))
        guess.append(
            found(
                np.concatenate([shaken, extra]),
                rng.random(10),
                np.concatenate([labels[:6], rng.integers(0, 3, 4)]),
            )
        )
    ours = average_precision(guess, real, 3)
    api = coco.COCO()
    rows = [
        {'id': 8 * i + j + 1, 'image_id': i + 1, 'category_id': int(t.labels[j]) + 1, 'iscrowd': 0,
         'bbox': [*map(float, b[:2]), *map(float, b[2:] - b[:2])],
         'area': float(np.prod(b[2:] - b[:2]))}
        for i, t in enumerate(real)
        for j, b in enumerate(t.boxes)
    ]
    api.dataset = {
        'images': [{'id': i + 1} for i in range(40)],
        'categories': [{'id': c + 1} for c in range(3)],
        'annotations': rows,
    }
    api.createIndex()
    results = api.loadRes(
        [
            {'image_id': i + 1, 'category_id': int(label) + 1, 'score': float(score),
             'bbox': [*map(float, b[:2]), *map(float, b[2:] - b[:2])]}
            for i, d in enumerate(guess)
            for b, score, label in zip(d.boxes, d.scores, d.labels, strict=True)
        ]
    )
    judge = COCOeval(api, results, 'bbox')
    judge.evaluate()
    judge.accumulate()
    theirs = judge.eval['precision'][:, :, :, 0, 2].mean(axis=1).T
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
