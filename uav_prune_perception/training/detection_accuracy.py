# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a detector finds in a split, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.datasets.detection_set import DetectionSplit
from uav_prune_perception.ladder import Accuracy, BoxesScores, InputSpec

from .detection_decode import found_objects
from .detection_metrics import (
    SIZES,
    Detections,
    Truth,
    at_threshold,
    average_precision_by_size,
)
from .task import Predict, normalised


@dataclass(frozen=True)
class Found:
    """What was found in each picture.

    Attributes:
        every: with the low threshold that measuring wants.
        flown: as the ladder's decoding flies it.
    """

    every: list[Detections]
    flown: list[Detections]


def detections(
    predict: Predict, split: DetectionSplit, spec: InputSpec, decode: BoxesScores, batch_size: int
) -> Found:
    """Run an engine over every picture of a split."""
    found = Found([], [])
    for start in range(0, len(split), batch_size):
        images = normalised(split.images[start:start + batch_size], spec)
        for output in predict(images.contiguous().numpy()):
            found.every.append(found_objects(output))
            found.flown.append(found_objects(
                output, score_threshold=decode.score_threshold,
                iou_threshold=decode.iou_threshold, max_detections=decode.max_detections,
            ))
    return found


def detection_accuracy(
    found: Found, split: DetectionSplit, name: str, classes: tuple[str, ...],
    size_limits: tuple[float, float],
) -> Accuracy:
    """mAP50 with the average precision of every class that occurs, and further figures.

    Args:
        found: in the pictures of the split, in its order.
        split: the truth.
        name: of the split.
        classes: names, by id.
        size_limits: see `DetectionTask`.
    """
    truths = [Truth(*row) for row in zip(split.boxes, split.labels, split.ignore, strict=True)]
    precision = average_precision_by_size(
        found.every, truths, len(classes), size_limits=size_limits
    )
    hits, recall = at_threshold(found.flown, truths)
    figures = {'mAP50-95': _mean(precision[0]), 'recall': recall}
    if any(len(each.boxes) for each in found.flown):
        figures['precision'] = hits
    for size, own in zip(SIZES[1:], precision[1:], strict=True):
        if not np.isnan(own).all():
            figures[f'mAP50_{size}'] = _mean(own[:, 0])
            figures[f'mAP50-95_{size}'] = _mean(own)
    by_class = zip(classes, precision[0, :, 0], strict=True)
    return Accuracy(
        metric='mAP50', value=_mean(precision[0, :, 0]), split=name, n=len(split),
        per_class={own: float(value) for own, value in by_class if not np.isnan(value)},
        figures=figures,
    )


def _mean(values: NDArray[np.float64]) -> float:
    """Of the classes that are there; 0 where none is."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else 0.0
