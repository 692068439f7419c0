# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO average precision by class and object size, and what the deployed threshold gives.

The counting is faster-coco-eval's: the COCO protocol in C++, with pycocotools' figures.
Regions to ignore are crowd boxes of every class, as COCO has them: a detection that lies in one by
the overlap asked for, and hits nothing, does not count.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from uav_prune_perception.onboard.nms import iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Sides in pixels of the squares that part small from medium from large objects (COCO).
SIZE_LIMITS = (32.0, 96.0)
SIZES = ('all', 'small', 'medium', 'large')
MAX_DETECTIONS = 100  # of one picture and class


@dataclass(frozen=True)
class Detections:
    """Found objects of one picture: corners [n, 4], scores [n], labels [n]."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """Real objects of one picture: corners [n, 4], labels [n], regions to ignore [m, 4]."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]


def average_precision(
    detections: list[Detections],
    truths: list[Truth],
    classes: int,
    thresholds: NDArray[np.float64] = THRESHOLDS,
) -> NDArray[np.float64]:
    """Average precision of every class at every overlap threshold, objects of all sizes.

    Returns:
        float64 [classes, thresholds]; NaN for a class without a single real object.
    """
    return average_precision_by_size(detections, truths, classes, thresholds)[0]


def average_precision_by_size(
    detections: list[Detections],
    truths: list[Truth],
    classes: int,
    thresholds: NDArray[np.float64] = THRESHOLDS,
    size_limits: tuple[float, float] = SIZE_LIMITS,
) -> NDArray[np.float64]:
    """The same by object size: float64 [4, classes, thresholds], in the order of `SIZES`.

    Args:
        detections: for each picture.
        truths: for each picture.
        classes: number of classes.
        thresholds: overlaps from which a detection is a hit.
        size_limits: sides in pixels of the squares between small, medium and large.

    Returns:
        NaN for a class without a single real object of that size.
    """
    result = np.full((len(SIZES), classes, len(thresholds)), np.nan)
    rows = list(_found_rows(detections))
    if not any(len(truth.boxes) for truth in truths):
        return result
    with contextlib.redirect_stdout(io.StringIO()):
        real = COCO(_document(truths, classes))
        if not rows:
            counts = _counts(truths, classes, size_limits)
            return np.where(counts[..., None] > 0, 0.0, result)
        judge = COCOeval_faster(real, real.loadRes(rows), 'bbox')
        judge.params.iouThrs = np.asarray(thresholds, np.float64)
        judge.params.areaRng = [[low**2, high**2] for low, high in _ranges(size_limits)]
        judge.params.areaRngLbl = list(SIZES)
        judge.params.maxDets = [1, 10, MAX_DETECTIONS]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval['precision'][..., -1]  # [thresholds, recalls, classes, sizes]
    mean = precision.mean(axis=1).transpose(2, 1, 0)
    return np.where(mean > -1, mean, np.nan)


def at_threshold(
    detections: list[Detections], truths: list[Truth], overlap: float = 0.5
) -> tuple[float, float]:
    """Precision and recall of detections as they are flown, all classes counted together.

    Args:
        detections: for each picture, those above the deployed score.
        truths: for each picture.
        overlap: from which a detection is a hit.

    Returns:
        Precision (1 where nothing was found) and recall (1 where there is nothing to find).
    """
    hits, wrong, real = 0, 0, 0
    for found, truth in zip(detections, truths, strict=True):
        own, stray = 0, 0
        for label in np.union1d(found.labels, truth.labels):
            boxes = found.boxes[found.labels == label]
            order = np.argsort(-found.scores[found.labels == label], kind='stable')
            hits_here = matched(boxes[order], truth.boxes[truth.labels == label], overlap)
            free = ~covered(boxes[order], truth.ignore)
            own += len(hits_here)
            stray += int(free.sum()) - sum(bool(free[index]) for index in hits_here)
        hits, wrong, real = hits + own, wrong + stray, real + len(truth.boxes)
    return hits / max(1, hits + wrong) if hits + wrong else 1.0, hits / real if real else 1.0


def matched(
    found: NDArray[np.float32], real: NDArray[np.float32], overlap: float
) -> dict[int, int]:
    """Which real box each found one hits, greedily in the order given; each real one once.

    Args:
        found: [n, 4], the surest first.
        real: [m, 4].
        overlap: from which it is a hit.
    """
    pairs: dict[int, int] = {}
    if not len(found) or not len(real):
        return pairs
    shared = iou(found, real)
    for index in np.flatnonzero(shared.max(axis=1) >= overlap):
        best = int(shared[index].argmax())
        if shared[index, best] >= overlap:
            pairs[int(index)] = best
            shared[:, best] = 0.0
    return pairs


def covered(boxes: NDArray[np.float32], regions: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Half or more of the box lies in a region."""
    if not len(boxes) or not len(regions):
        return np.zeros(len(boxes), bool)
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9)
    return np.asarray((shared / area[:, None]).max(axis=1) >= 0.5)


def _ranges(limits: tuple[float, float]) -> list[tuple[float, float]]:
    small, large = limits
    return [(0.0, 1e5), (0.0, small), (small, large), (large, 1e5)]


def _counts(
    truths: list[Truth], classes: int, limits: tuple[float, float]
) -> NDArray[np.int64]:
    """Real objects [4, classes]."""
    boxes = np.concatenate([truth.boxes for truth in truths])
    labels = np.concatenate([truth.labels for truth in truths])
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.stack([
        np.bincount(labels[(area >= low**2) & (area <= high**2)], minlength=classes)
        for low, high in _ranges(limits)
    ])


def _document(truths: list[Truth], classes: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for picture, truth in enumerate(truths, 1):
        real = [(box, int(label), 0) for box, label in zip(truth.boxes, truth.labels, strict=True)]
        crowds = [(box, label, 1) for box in truth.ignore for label in range(classes)]
        for box, label, crowd in (*real, *crowds):
            rows.append({
                'id': len(rows) + 1, 'image_id': picture, 'category_id': label + 1,
                'iscrowd': crowd, **_sides(box),
            })
    return {
        'images': [{'id': index + 1} for index in range(len(truths))],
        'categories': [{'id': label + 1, 'name': str(label)} for label in range(classes)],
        'annotations': rows,
    }


def _found_rows(detections: Iterable[Detections]) -> Iterable[dict[str, Any]]:
    for picture, found in enumerate(detections, 1):
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
            yield {
                'image_id': picture, 'category_id': int(label) + 1, 'score': float(score),
                **_sides(box),
            }


def _sides(box: NDArray[np.float32]) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return {'bbox': [x1, y1, x2 - x1, y2 - y1], 'area': (x2 - x1) * (y2 - y1)}
