# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: of boxes that overlap much, the best one stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK = 128  # candidates compared at once; bounds the memory at BLOCK * (BLOCK + kept)


# Of two places in a block: the second is the later one.
_LATER = np.triu(np.ones((BLOCK, BLOCK), bool), 1)


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
    # Class by class, if they count: a block then meets the kept ones of its own classes only.
    keys = (-scores,) if class_ids is None else (-scores, class_ids)
    order = np.lexsort(keys)
    classes = None if class_ids is None else class_ids[order]
    rivals = _Rivals.of(boxes[order], classes, iou_threshold)
    limit = len(order) if max_kept is None else max_kept
    if len(order) <= BLOCK:  # most pictures
        kept = np.flatnonzero(_survivors(rivals.overlap(rivals)))
    else:
        kept = _kept_by_blocks(rivals, limit)
    found = np.sort(order[kept])  # equal scores: lower index first
    best: np.ndarray = found[np.argsort(-scores[found], kind='stable')][:limit]
    return best.astype(np.int64, copy=False)


def _kept_by_blocks(rivals: _Rivals, limit: int) -> np.ndarray:
    """Positions of those that stay, ascending; without classes, not many more than ``limit``."""
    count, class_ids = len(rivals.areas), rivals.class_ids
    classes = np.zeros(count, np.int32) if class_ids is None else class_ids
    kept = np.empty(0, np.int64)
    for start in range(0, count, BLOCK):
        if class_ids is None and len(kept) >= limit:
            break
        block = np.arange(start, min(start + BLOCK, count))
        here = rivals.at(slice(start, start + BLOCK))
        near = kept[np.searchsorted(classes[kept], classes[start]):]
        if len(near):
            block = block[~rivals.at(near).overlap(here).any(axis=0)]
            here = rivals.at(block)
        kept = np.concatenate([kept, block[_survivors(here.overlap(here))]])
    return kept


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


@dataclass(frozen=True)
class _Rivals:
    """Sorted candidates, and which of them cannot both stay.

    Coordinates lie one after the other by kind, and areas are computed once: this is where the
    time of decoding goes.

    Attributes:
        sides: [4, n], x1 y1 x2 y2.
        areas: [n].
        class_ids: int32 [n], or None.
        threshold: of IoU.
    """

    sides: np.ndarray
    areas: np.ndarray
    class_ids: np.ndarray | None
    threshold: float

    @classmethod
    def of(
        cls, boxes: np.ndarray, class_ids: np.ndarray | None, iou_threshold: float
    ) -> _Rivals:
        ids = None if class_ids is None else class_ids.astype(np.int32, copy=False)
        return cls(np.ascontiguousarray(boxes.T), _area(boxes), ids, iou_threshold)

    def at(self, places: slice | np.ndarray) -> _Rivals:
        """Some of them."""
        ids = None if self.class_ids is None else self.class_ids[places]
        return _Rivals(self.sides[:, places], self.areas[places], ids, self.threshold)

    def overlap(self, other: _Rivals) -> np.ndarray:
        """Bool [n, m]: these two cannot both stay."""
        x1, y1, x2, y2 = self.sides[:, :, None]
        other_x1, other_y1, other_x2, other_y2 = other.sides[:, None, :]
        shared = np.minimum(x2, other_x2)
        scratch = np.maximum(x1, other_x1)
        shared -= scratch
        np.maximum(shared, 0, out=shared)  # the height may stay negative: nothing is shared
        height = np.minimum(y2, other_y2)
        height -= np.maximum(y1, other_y1, out=scratch)
        shared *= height
        total = np.add(self.areas[:, None], other.areas[None], out=height)
        total -= shared
        # Where nothing is shared the quotient is not above 0, also of two boxes without area.
        shared /= np.maximum(total, np.finfo(total.dtype).tiny, out=total)
        overlap: np.ndarray = shared > self.threshold
        if self.class_ids is not None and other.class_ids is not None:
            overlap &= self.class_ids[:, None] == other.class_ids[None]
        return overlap


def _survivors(overlap: np.ndarray) -> np.ndarray:
    """Bool [n]: the kept ones of a sorted block, considering only the block itself.

    Each round lets those remove others that survived the round before. The start of the block
    that is final grows with every round, and no further change means that all of it is (Cluster
    NMS, Zheng et al., arXiv 2005.03572): two or three rounds in place of one step for each box.
    """
    better = (overlap & _LATER[:len(overlap), :len(overlap)]).astype(np.float32)
    alive = np.ones(len(overlap), np.float32)
    while True:
        after = (alive @ better == 0).astype(np.float32)
        if np.array_equal(after, alive):
            return alive > 0
        alive = after
