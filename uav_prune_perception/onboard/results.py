# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pipeline hands out for each processed frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame


@dataclass(frozen=True)
class Detections:
    """Boxes of one picture, best score first.

    Attributes:
        boxes: float32 [n, 4], x1 y1 x2 y2 in pixels of the original picture, clipped to it. The
            left edge of the first pixel is 0, the right edge of the last one is the width.
        scores: float32 [n], 0..1.
        class_ids: int64 [n], positions in the ladder's ``classes``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Classification:
    """The most likely classes of one picture, best first.

    Attributes:
        class_ids: int64 [k], positions in the ladder's ``classes``.
        scores: float32 [k], softmax over all classes.
    """

    class_ids: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Timings:
    """Where one frame's time went, milliseconds on the monotonic clock.

    ``queue`` runs from `Frame.received_s` until the worker took the frame (nan if that is
    unknown); ``unpack`` is JPEG decoding and 16 to 8 bit, 0 for plain pictures; ``total`` is the
    worker's own time: unpack + preprocess + inference + postprocess.
    """

    queue: float
    unpack: float
    preprocess: float
    inference: float
    postprocess: float
    total: float


@dataclass(frozen=True)
class Result:
    """What came out for one frame: ``detections`` or ``classification``, as the ladder's task.

    ``passes`` is how often the engine ran: once, or for every tile; the timings are of all.
    """

    frame: Frame
    level: str
    detections: Detections | None
    classification: Classification | None
    timings: Timings
    passes: int = 1
