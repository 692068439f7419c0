# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Mosaic: four pictures in one, each turned, mirrored, scaled and cut to its part.

The idea is YOLOv4's (Bochkovskiy et al. 2020): more objects, more backgrounds and more scales in
a batch. Every part is one OpenCV warp, whatever is done to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .augmentation import Augmentation, Change, draw_levels, turn_and_flip, warp_boxes

# Where the four parts meet, as a share of the picture's sides.
MEETING = (0.3, 0.7)

Picture = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class MosaicPlan:
    """What chance has chosen for one mosaic.

    Attributes:
        across, down: where the four parts meet, pixels.
        changes: of each part.
    """

    across: int
    down: int
    changes: tuple[Change, ...]

    def sizes(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """Width and height of each part of a picture of this size."""
        return _sizes(self.across, self.down, width, height)


def draw_mosaic(
    width: int, height: int, rng: np.random.Generator, options: Augmentation
) -> MosaicPlan:
    """The throws for a mosaic of pictures of one size, without the work.

    Args:
        width: of the pictures and of what is made of them.
        height: likewise.
        rng: source of chance.
        options: `Augmentation`; parts are shown at `mosaic_scale` times its scale.
    """
    across = round(width * rng.uniform(*MEETING))
    down = round(height * rng.uniform(*MEETING))
    changes = []
    for part in _sizes(across, down, width, height):
        matrix = _matrix((height, width), part, rng, options)
        changes.append(Change(matrix, draw_levels(rng, options)))
    return MosaicPlan(across, down, tuple(changes))


def mosaic(pictures: Sequence[Picture], plan: MosaicPlan, pad_value: int = 114) -> Picture:
    """One picture of the size of the first.

    Args:
        pictures: four of one size, each uint8 [H, W, C] with boxes float32 [n, 4] (corners in
            pixels) and labels int64 [n].
        plan: by `draw_mosaic`.
        pad_value: fills what no picture covers.

    Returns:
        Picture, boxes (cut to their part) and labels of what still counts.
    """
    height, width, channels = pictures[0][0].shape
    canvas = np.empty((height, width, channels), np.uint8)
    boxes, labels = [], []
    corners = ((0, 0), (plan.across, 0), (0, plan.down), (plan.across, plan.down))
    for picture, change, (x, y), (w, h) in zip(
        pictures, plan.changes, corners, plan.sizes(width, height), strict=True
    ):
        part = cv2.warpAffine(
            picture[0], change.matrix, (w, h), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=[pad_value] * channels,
        )
        canvas[y:y + h, x:x + w] = cv2.LUT(part, change.levels).reshape(h, w, channels)
        moved, keep = warp_boxes(picture[1], change.matrix, w, h)
        boxes.append(moved[keep] + np.array([x, y, x, y], np.float32))
        labels.append(picture[2][keep])
    return canvas, np.concatenate(boxes), np.concatenate(labels)


def _sizes(across: int, down: int, width: int, height: int) -> tuple[tuple[int, int], ...]:
    return ((across, down), (width - across, down), (across, height - down),
            (width - across, height - down))


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
