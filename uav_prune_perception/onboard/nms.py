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
    rivals = _Rivals(boxes[order], None if class_ids is None else class_ids[order], iou_threshold)
    kept = np.empty(0, np.int64)  # positions in the order
    for start in range(0, len(order), BLOCK):
        if len(kept) >= limit:
            break
        block = np.arange(start, min(start + BLOCK, len(order)))
        if len(kept):
            block = block[~rivals.overlaps(block, kept).any(axis=1)]
        kept = np.concatenate([kept, _survivors(rivals.overlaps(block, block), block)])
    return order[kept[:limit]].astype(np.int64, copy=False)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        first: [n, 4], x1 y1 x2 y2.
        second: [m, 4].

    Returns:
        [n, m]; 0 where a box has no area.
    """
    shared = shared_areas(first, second)
    total = _area(first)[:, None] + _area(second)[None, :] - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=shared > 0)


def shared_areas(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Area of the intersection of every pair: [n, 4] and [m, 4] -> [n, m]."""
    a, b = first[:, None, :], second[None, :, :]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(width, 0) * np.maximum(height, 0)


class _Rivals:
    """Sorted candidates, and which of them cannot both stay.

    Coordinates lie one after the other by kind, and areas are computed once: this is where the
    time of decoding goes.
    """

    def __init__(
        self, boxes: np.ndarray, class_ids: np.ndarray | None, iou_threshold: float
    ) -> None:
        self._sides = np.ascontiguousarray(boxes.T)
        self._areas, self._class_ids, self._threshold = _area(boxes), class_ids, iou_threshold
        self._least = np.finfo(self._areas.dtype).tiny if len(boxes) else 0.0

    def overlaps(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Bool [rows, columns]: these two cannot both stay."""
        x1, y1, x2, y2 = self._sides[:, rows, None]
        other_x1, other_y1, other_x2, other_y2 = self._sides[:, None, columns]
        shared = np.minimum(x2, other_x2)
        shared -= np.maximum(x1, other_x1)
        np.maximum(shared, 0, out=shared)
        height = np.minimum(y2, other_y2)
        height -= np.maximum(y1, other_y1)
        shared *= np.maximum(height, 0, out=height)
        total = self._areas[rows, None] + self._areas[None, columns]
        total -= shared
        # Where nothing is shared the quotient is 0, also of two boxes without area.
        shared /= np.maximum(total, self._least, out=total)
        overlap: np.ndarray = shared > self._threshold
        if self._class_ids is not None:
            overlap &= self._class_ids[rows, None] == self._class_ids[None, columns]
        return overlap


def _survivors(overlap: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The kept ones of a sorted block, considering only the block itself.

    Each round lets those remove others that survived the round before. The start of the block
    that is final grows with every round, and no further change means that all of it is (Cluster
    NMS, Zheng et al., arXiv 2005.03572): two or three rounds in place of one step for each box.
    """
    better = np.triu(overlap, 1)
    alive = np.ones(len(block), bool)
    while True:
        after = np.logical_not(better[alive].any(axis=0))
        if np.array_equal(after, alive):
            return block[alive]
        alive = after
