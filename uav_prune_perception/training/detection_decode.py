# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a detector's output to found objects, for measuring average precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.onboard.nms import nms

from .detection_metrics import Detections

MAX_CANDIDATES = 1000


def found_objects(
    output: NDArray[np.float32],
    *,
    score_threshold: float = 0.01,
    iou_threshold: float = 0.6,
    max_detections: int = 100,
) -> Detections:
    """Best class of each candidate, then the same class-aware suppression that is flown.

    Measuring wants a low score threshold (the whole precision-recall curve), unlike flying.

    Args:
        output: float32 [4 + classes, N]: corners, then one probability for each class.
        score_threshold: lower scores are dropped.
        iou_threshold: of two of one class that overlap more, the better is kept.
        max_detections: of one picture.
    """
    best = output[4:].max(axis=0)
    chosen = np.flatnonzero(best >= score_threshold)
    chosen = chosen[np.argsort(-best[chosen], kind='stable')[:MAX_CANDIDATES]]
    boxes = np.ascontiguousarray(output[:4, chosen].T, np.float32)
    scores, labels = best[chosen], output[4:, chosen].argmax(axis=0)
    keep = nms(boxes, scores, iou_threshold, labels, max_detections)
    return Detections(boxes[keep], scores[keep], labels[keep].astype(np.int64))
