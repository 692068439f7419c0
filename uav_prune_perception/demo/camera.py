# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's camera sees: frames with their ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class CameraFrame:
    """One picture: uint8 [H, W, 3] BGR or [H, W] gray; boxes float32 [n, 4] xyxy in its pixels."""

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Camera:
    """A clip that is played forth and back, so that the scene never jumps."""

    frames: Sequence[CameraFrame]
    encoding: str
    description: str

    def frame(self, number: int) -> CameraFrame:
        """The picture of frame ``number`` (0, 1, 2, ...)."""
        turn = max(1, 2 * len(self.frames) - 2)
        position = number % turn
        return self.frames[position if position < len(self.frames) else turn - position]


def generated_camera(
    frames: int = 200, seed: int = 7, width: int = 640, height: int = 512
) -> Camera:
    """A drone drifting over a generated world that no one trained on."""
    from uav_prune_perception.datasets.generated_scenes import flight

    clip = [
        CameraFrame(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), frame.boxes, frame.labels)
        for frame in flight(seed, frames, width, height)
    ]
    return Camera(clip, 'bgr8', f'generated flight, seed {seed}, {width}x{height}')


def hit_uav_camera(root: Path, frames: int = 120) -> Camera:
    """Real UAV thermal pictures: an even choice of HIT-UAV's test split, in its own order."""
    from uav_prune_perception.datasets.hit_uav import read_split

    width, height = 640, 512
    test = read_split(root / 'hit_uav_test.npz', (width, height), frames)
    clip = [
        CameraFrame(np.ascontiguousarray(image[:, :, 0]), boxes, labels)
        for image, boxes, labels in zip(test.images, test.boxes, test.labels, strict=True)
    ]
    return Camera(clip, 'mono8', f'HIT-UAV test split, {len(clip)} pictures, {width}x{height}')
