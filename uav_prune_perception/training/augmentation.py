# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation on bytes: one affine warp and one look-up table for each picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.datasets.detection_set import DatasetError

# Of a box cut by the edge at least this much must remain, and this many pixels of each side.
MIN_REMAINDER = 0.35
MIN_SIDE = 2.0


@dataclass(frozen=True)
class Augmentation:
    """How strongly pictures are changed.

    Attributes:
        flip: mirror half of the pictures.
        quarter_turns: turn by 0, 90, 180 or 270 degrees (for pictures without an up).
        scale: picture scale is drawn from 1 / (1 + scale) to 1 + scale.
        shift: translation, as a fraction of the picture's size.
        gain: contrast factor is drawn from 1 - gain to 1 + gain.
        offset: brightness offset in 0..255 units.
        mosaic: share of the pictures that are put together of four (detection only).
        mosaic_scale: range of the scale at which those four are shown.
    """

    flip: bool = True
    quarter_turns: bool = True
    scale: float = 0.25
    shift: float = 0.1
    gain: float = 0.25
    offset: float = 16.0
    mosaic: float = 0.0
    mosaic_scale: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        """Raises `DatasetError` for what is out of range."""
        ranges = {'scale': 10.0, 'shift': 1.0, 'gain': 1.0, 'offset': 255.0, 'mosaic': 1.0}
        for name, most in ranges.items():
            _check_number(name, getattr(self, name), most)
        pair = self.mosaic_scale
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise DatasetError(
                'data.augmentation.mosaic_scale: needs two numbers, such as [0.5, 1.0], not '
                f'{pair!r}'
            )
        for value in pair:
            _check_number('mosaic_scale', value, 10.0)
        if not 0 < pair[0] <= pair[1]:
            raise DatasetError(
                f'data.augmentation.mosaic_scale: the first must be above 0 and not above the '
                f'second, not {list(pair)}'
            )


def _check_number(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise DatasetError(
            f'data.augmentation.{name}: needs a number from 0 to {most:g}, not {value!r}'
        )


@dataclass(frozen=True)
class Change:
    """What chance has chosen for one picture: affine map float64 [2, 3], levels uint8 [256]."""

    matrix: NDArray[np.float64]
    levels: NDArray[np.uint8]


def draw_change(
    width: int, height: int, rng: np.random.Generator, options: Augmentation
) -> Change:
    """The throws for one picture, apart from the work: not every process makes every picture.

    Args:
        width: of the picture.
        height: likewise.
        rng: source of chance.
        options: strength.
    """
    return Change(_matrix(width, height, rng, options), draw_levels(rng, options))


def apply_change(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], change: Change, pad_value: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """One picture and its boxes, changed.

    Args:
        image: uint8 [H, W, C].
        boxes: float32 [n, 4], corners in pixels; empty for classification.
        change: by `draw_change`, for a picture of this size.
        pad_value: fills what comes in from outside.

    Returns:
        image uint8 [H, W, C]; boxes float32 [n, 4], clipped; bool [n], which boxes still count.
    """
    height, width, channels = image.shape
    warped = cv2.warpAffine(
        image,
        change.matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=[pad_value] * channels,
    )
    moved, keep = warp_boxes(boxes, change.matrix, width, height)
    warped = cv2.LUT(warped, change.levels)
    return np.asarray(warped, np.uint8).reshape(height, width, channels), moved, keep


def draw_levels(rng: np.random.Generator, options: Augmentation) -> NDArray[np.uint8]:
    """Contrast and brightness, as one table: uint8 [256]."""
    gain = 1.0 + rng.uniform(-options.gain, options.gain)
    levels = (np.arange(256) - 128.0) * gain + 128.0 + rng.uniform(-1, 1) * options.offset
    return np.clip(levels, 0, 255).astype(np.uint8)


def turn_and_flip(rng: np.random.Generator, options: Augmentation) -> NDArray[np.float64]:
    """A random quarter turn and mirroring, as far as the options allow: float64 [2, 2]."""
    turns = int(rng.integers(4)) if options.quarter_turns else 0
    c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    linear = np.array([[c, -s], [s, c]], dtype=np.float64)
    if options.flip and rng.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0])
    return linear


def warp_boxes(
    boxes: NDArray[np.float32], matrix: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes under an affine map that keeps axes parallel: clipped boxes, which still count."""
    if len(boxes) == 0:
        return boxes, np.zeros(0, bool)
    a = boxes[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    b = boxes[:, 2:] @ matrix[:, :2].T + matrix[:, 2]
    full = np.concatenate([np.minimum(a, b), np.maximum(a, b)], axis=1)
    clipped = np.clip(full, 0, np.array([width, height, width, height]))
    sides = clipped[:, 2:] - clipped[:, :2]
    before = np.prod(full[:, 2:] - full[:, :2], axis=1)
    keep = (sides.min(axis=1) >= MIN_SIDE) & (sides.prod(axis=1) >= MIN_REMAINDER * before)
    return clipped.astype(np.float32), keep


def _matrix(
    width: int, height: int, rng: np.random.Generator, options: Augmentation
) -> NDArray[np.float64]:
    linear = turn_and_flip(rng, options)
    linear *= (1.0 + options.scale) ** rng.uniform(-1, 1)
    size = np.array([width, height], dtype=np.float64)
    shift = rng.uniform(-options.shift, options.shift, 2) * size
    offset = size / 2 + shift - linear @ (size / 2)
    return np.concatenate([linear, offset[:, None]], axis=1)
