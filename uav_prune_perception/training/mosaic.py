# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Mosaic: four pictures in one, each turned, mirrored, scaled and cut to its part.

The idea is YOLOv4's (Bochkovskiy et al. 2020): more objects, more backgrounds and more scales in
a batch. Every part is one OpenCV warp, whatever is done to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .augmentation import Augmentation, change_levels, turn_and_flip, warp_boxes

# Where the four parts meet, as a share of the picture's sides.
MEETING = (0.3, 0.7)

Picture = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]


def mosaic(
    pictures: Sequence[Picture],
    rng: np.random.Generator,
    options: Augmentation,
    pad_value: int = 114,
) -> Picture:
    """One picture of the size of the first.

    Args:
        pictures: four, each uint8 [H, W, C] with boxes float32 [n, 4] (corners in pixels) and
            labels int64 [n].
        rng: source of chance.
        options: `Augmentation`; parts are shown at `mosaic_scale` times its scale.
        pad_value: fills what no picture covers.

    Returns:
        Picture, boxes (cut to their part) and labels of what still counts.
    """
    height, width, channels = pictures[0][0].shape
    across = round(width * rng.uniform(*MEETING))
    down = round(height * rng.uniform(*MEETING))
    canvas = np.empty((height, width, channels), np.uint8)
    boxes, labels = [], []
    corners = ((0, 0), (across, 0), (0, down), (across, down))
    sizes = ((across, down), (width - across, down), (across, height - down),
             (width - across, height - down))
    for picture, (x, y), (w, h) in zip(pictures, corners, sizes, strict=True):
        matrix = _matrix(picture[0].shape[:2], (w, h), rng, options)
        part = cv2.warpAffine(
            picture[0], matrix, (w, h), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=[pad_value] * channels,
        )
        canvas[y:y + h, x:x + w] = change_levels(part, rng, options).reshape(h, w, channels)
        moved, keep = warp_boxes(picture[1], matrix, w, h)
        boxes.append(moved[keep] + np.array([x, y, x, y], np.float32))
        labels.append(picture[2][keep])
    return canvas, np.concatenate(boxes), np.concatenate(labels)


def _matrix(
    source: tuple[int, int], part: tuple[int, int], rng: np.random.Generator,
    options: Augmentation,
) -> NDArray[np.float64]:
    """Turn, flip and scale; then a random place of the picture, or its middle where all fits."""
    low, high = options.mosaic_scale
    scale = rng.uniform(low, high) * (1.0 + options.scale) ** rng.uniform(-1, 1)
    linear = turn_and_flip(rng, options) * scale
    size = np.array([source[1], source[0]], dtype=np.float64)
    ends = np.stack([np.zeros(2), linear @ size])
    first, last = ends.min(axis=0), ends.max(axis=0)
    spare = np.array(part) - (last - first)
    share = np.where(spare < 0, rng.uniform(0, 1, 2), 0.5)
    return np.concatenate([linear, (spare * share - first)[:, None]], axis=1)
