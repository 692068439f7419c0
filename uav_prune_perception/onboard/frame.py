# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera picture on its way into the pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

FrameColor = Literal['rgb', 'bgr', 'gray']


@dataclass(frozen=True)
class Frame:
    """One camera picture; the pipeline reads it and never writes into it.

    Attributes:
        image: uint8 [H, W, 3], or [H, W] (also [H, W, 1]) when gray. May be a read-only view.
        color: channel order of ``image``.
        stamp_s: when the picture was taken, in seconds of the source's clock (in ROS: the ROS
            clock, which may be simulated); nan = unknown, such a frame is never stale.
        received_s: when it came in, `time.monotonic` seconds.
        tag: handed back untouched with the result, e.g. the ROS header.
        source: which camera, for messages.
    """

    image: np.ndarray
    color: FrameColor = 'bgr'
    stamp_s: float = math.nan
    received_s: float = math.nan
    tag: object = None
    source: str = ''
