# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO-style average precision, vectorised over overlap thresholds.

Own code because pycocotools would be one more compiled package for a few lines of NumPy; the
tests compare with pycocotools where that is installed, and with cases counted by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.onboard.nms import iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)


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
    """Average precision of every class at every overlap threshold.

    Args:
        detections: for each picture.
        truths: for each picture.
        classes: number of classes.
        thresholds: overlaps from which a detection is a hit.

    Returns:
        float64 [classes, thresholds]; NaN for a class without a single real object.
    """
    result = np.full((classes, len(thresholds)), np.nan)
    for label in range(classes):
        total = sum(int((truth.labels == label).sum()) for truth in truths)
        if total == 0:
            continue
        scores, hits, ignored = [], [], []
        for found, truth in zip(detections, truths, strict=True):
            own = np.flatnonzero(found.labels == label)
            own = own[np.argsort(-found.scores[own], kind='stable')]
            hit, skip = _match(
                found.boxes[own], truth.boxes[truth.labels == label], truth.ignore, thresholds
            )
            scores.append(found.scores[own])
            hits.append(hit)
            ignored.append(skip)
        result[label] = _precision(
            np.concatenate(scores), np.concatenate(hits), np.concatenate(ignored), total
        )
    return result


def _shared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    low = np.maximum(a[:, None, :2], b[None, :, :2]).astype(np.float64)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:]).astype(np.float64)
    return np.clip(high - low, 0, None).prod(axis=-1)


def _match(
    found: NDArray[np.float32],
    real: NDArray[np.float32],
    ignore: NDArray[np.float32],
    thresholds: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Greedy, best score first: hit [n, thresholds], to be left out [n, thresholds]."""
    hit = np.zeros((len(found), len(thresholds)), bool)
    if len(found) == 0:
        return hit, hit
    if len(real):
        overlap = iou(found.astype(np.float64), real.astype(np.float64))
        free = np.ones((len(thresholds), len(real)), bool)
        rows = np.arange(len(thresholds))
        for index in np.flatnonzero(overlap.max(axis=1) >= thresholds.min()):
            value = np.where(free, overlap[index], -1.0)
            best = value.argmax(axis=1)
            hit[index] = value[rows, best] >= thresholds - 1e-10
            free[rows[hit[index]], best[hit[index]]] = False
    skip = np.zeros_like(hit)
    if len(ignore):
        area = np.maximum(np.prod(found[:, 2:] - found[:, :2], axis=1), 1e-9)
        covered = (_shared(found, ignore) / area[:, None]).max(axis=1) >= 0.5
        skip = covered[:, None] & ~hit
    return hit, skip


def _precision(
    scores: NDArray[np.float32],
    hits: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    total: int,
) -> NDArray[np.float64]:
    """Mean of the precision envelope at 101 recalls, for each threshold."""
    order = np.argsort(-scores, kind='stable')
    result = np.zeros(hits.shape[1])
    for column in range(hits.shape[1]):
        hit = hits[order, column][~ignored[order, column]]
        if len(hit) == 0:
            continue
        true = np.cumsum(hit)
        precision = true / np.arange(1, len(hit) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        where = np.searchsorted(true / total, RECALL_POINTS - 1e-12, side='left')
        result[column] = np.append(precision, 0.0)[where].mean()
    return result
