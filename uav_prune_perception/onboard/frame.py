# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera picture on its way into the pipeline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

FrameColor = Literal['rgb', 'bgr', 'gray']
Unpack = Callable[[], tuple[np.ndarray, FrameColor]]


@dataclass(frozen=True)
class Frame:
    """One camera picture; the pipeline reads it and never writes into it.

    Attributes:
        image: uint8 [H, W, 3], or [H, W] (also [H, W, 1]) when gray. May be a read-only view.
            Empty while the picture is packed.
        color: channel order of ``image``.
        stamp_s: when the picture was taken, in seconds of the source's clock (in ROS: the ROS
            clock, which may be simulated); nan = unknown, such a frame is never stale.
        received_s: when it came in, `time.monotonic` seconds.
        tag: handed back untouched with the result, e.g. the ROS header.
        source: which camera, for messages.
        camera: which of the pipeline's cameras; '' where there is only one.
        unpack: of a picture that is still packed (JPEG, 16 bit): makes image and colour. The
            worker calls it, and only for a frame whose turn has come.
    """

    image: np.ndarray
    color: FrameColor = 'bgr'
    stamp_s: float = math.nan
    received_s: float = math.nan
    tag: object = None
    source: str = ''
    camera: str = ''
    unpack: Unpack | None = None

    def unpacked(self) -> Frame:
        """The frame with its picture; whatever ``unpack`` raises."""
        if self.unpack is None:
            return self
        image, color = self.unpack()
        return dataclasses.replace(self, image=image, color=color, unpack=None)
