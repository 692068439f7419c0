# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a detector's output to found objects, for measuring average precision."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .detection_metrics import Detections


def found_objects(
    output: NDArray[np.float32],
    *,
    score_threshold: float = 0.01,
    iou_threshold: float = 0.6,
    max_detections: int = 100,
) -> Detections:
    """Class-aware non-maximum suppression on one picture's output.

    Measuring wants a low score threshold (the whole precision-recall curve), unlike flying.

    Args:
        output: float32 [4 + classes, N]: corners, then one probability for each class.
        score_threshold: lower scores are dropped.
        iou_threshold: of two of one class that overlap more, the better is kept.
        max_detections: of one picture.
    """
    label, candidate = np.nonzero(output[4:] >= score_threshold)
    scores = output[4 + label, candidate]
    order = np.argsort(-scores, kind='stable')[:1000]
    label, candidate, scores = label[order], candidate[order], scores[order]
    boxes = output[:4, candidate].T.astype(np.float32)
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    keep = np.zeros(0, np.int64)
    if len(boxes):
        kept = cv2.dnn.NMSBoxesBatched(
            sizes.tolist(), scores.tolist(), label.tolist(), score_threshold, iou_threshold
        )
        keep = np.asarray(kept, dtype=np.int64).reshape(-1)
        keep = keep[np.argsort(-scores[keep], kind='stable')][:max_detections]
    return Detections(boxes[keep], scores[keep], label[keep].astype(np.int64))
