# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: of boxes that overlap much, the best one stays."""

from __future__ import annotations

import numpy as np

BLOCK = 128  # candidates compared at once; bounds the memory at BLOCK * (BLOCK + kept)


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float,
    class_ids: np.ndarray | None = None,
    max_kept: int | None = None,
) -> np.ndarray:
    """Greedy NMS.

    Args:
        boxes: [n, 4], x1 y1 x2 y2. A box without area overlaps nothing.
        scores: [n].
        iou_threshold: a box goes when its IoU with a better kept one is above this.
        class_ids: [n]; given, boxes only compete within their class.
        max_kept: stop after this many.

    Returns:
        int64 indices of the kept boxes, best score first (equal scores: lower index first).
    """
    order = np.argsort(-scores, kind='stable')
    limit = len(order) if max_kept is None else max_kept
    kept = np.empty(0, np.int64)
    for start in range(0, len(order), BLOCK):
        if len(kept) >= limit:
            break
        block = order[start:start + BLOCK]
        if len(kept):
            block = block[~_overlaps(boxes, class_ids, block, kept, iou_threshold).any(axis=1)]
        kept = np.concatenate([kept, _survivors(boxes, class_ids, block, iou_threshold)])
    return kept[:limit]


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        first: [n, 4], x1 y1 x2 y2.
        second: [m, 4].

    Returns:
        [n, m]; 0 where a box has no area.
    """
    a, b = first[:, None, :], second[None, :, :]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    total = _area(first)[:, None] + _area(second)[None, :] - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=shared > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(width, 0) * np.maximum(height, 0)


def _overlaps(
    boxes: np.ndarray,
    class_ids: np.ndarray | None,
    rows: np.ndarray,
    columns: np.ndarray,
    threshold: float,
) -> np.ndarray:
    """Bool [rows, columns]: these two cannot both stay."""
    overlap = iou(boxes[rows], boxes[columns]) > threshold
    if class_ids is not None:
        overlap &= class_ids[rows][:, None] == class_ids[columns][None, :]
    return overlap


def _survivors(
    boxes: np.ndarray, class_ids: np.ndarray | None, block: np.ndarray, threshold: float
) -> np.ndarray:
    """The kept ones of a sorted block, considering only the block itself."""
    overlap = _overlaps(boxes, class_ids, block, block, threshold)
    alive = np.ones(len(block), bool)
    rivals = np.flatnonzero(np.triu(overlap, 1).any(axis=1))  # those that could remove another
    for index in rivals:
        if alive[index]:
            alive[index + 1:] &= ~overlap[index, index + 1:]
    return block[alive]
