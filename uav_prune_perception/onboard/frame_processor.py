# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame through preprocessing, inference and decoding."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from .decode import Decoder
from .frame import Frame, FrameColor
from .level_bank import LevelBank
from .preprocess import Preprocessor
from .results import Classification, Detections, Result, Timings
from .tiles import Tile, Tiling


class FrameProcessor:
    """The stages and their times; for one thread (it owns the input buffer)."""

    def __init__(self, bank: LevelBank, on_answer: Callable[[], None] = lambda: None) -> None:
        """``on_answer`` is called after every run of the engine; a frame may need many."""
        self._bank, self._on_answer = bank, on_answer
        self._preprocess = Preprocessor(bank.ladder.input)

    def __call__(
        self, frame: Frame, level: int, decoder: Decoder, taken_s: float,
        tiling: Tiling | None = None,
    ) -> Result:
        """Process one frame, all of it on one level.

        Args:
            frame: the picture.
            level: index of the level to run.
            decoder: with the thresholds in force.
            taken_s: when the worker took the frame, `time.monotonic` seconds.
            tiling: how a detector's pictures are cut; None = not at all.

        Raises:
            ValueError: the picture is not one, or the output is not as the ladder says.
            EngineError: the level is broken.
        """
        frame = frame.unpacked()
        watch = _Watch(taken_s)
        watch.lap('unpack')
        tiles = _tiles(frame, tiling, self._bank)
        images = [frame.image[t.top:t.bottom, t.left:t.right] for t in tiles] or [frame.image]
        found = [self._look(image, frame.color, level, decoder, watch) for image in images]
        decoded = found[0]
        if tiling is not None and tiles:
            parts = [part for part in found if isinstance(part, Detections)]
            decoded = tiling.together(
                parts, (frame.image.shape[1], frame.image.shape[0]), self._bank.ladder.input,
                iou_threshold=decoder.iou_threshold, class_aware=decoder.class_aware,
                max_detections=decoder.max_detections,
            )
            watch.lap('postprocess')
        known = not math.isnan(frame.received_s)
        queue_ms = max(0.0, taken_s - frame.received_s) * 1e3 if known else math.nan
        return Result(
            frame,
            self._bank.ladder.levels[level].name,
            decoded if isinstance(decoded, Detections) else None,
            decoded if isinstance(decoded, Classification) else None,
            watch.timings(queue_ms),
            len(found),
        )

    def _look(
        self, image: np.ndarray, color: FrameColor, level: int, decoder: Decoder, watch: _Watch
    ) -> Detections | Classification:
        """One run of the engine, on a picture or a tile of one."""
        tensor, geometry = self._preprocess(image, color)
        watch.lap('preprocess')
        outputs = self._bank.infer(level, tensor)
        self._on_answer()
        watch.lap('inference')
        decoded = decoder(outputs, geometry)
        watch.lap('postprocess')
        return decoded


class _Watch:
    """Milliseconds by stage; every moment belongs to one."""

    def __init__(self, start_s: float) -> None:
        self._start_s = self._last_s = start_s
        self._ms = dict.fromkeys(('unpack', 'preprocess', 'inference', 'postprocess'), 0.0)

    def lap(self, stage: str) -> None:
        """All since the last lap was this stage."""
        now_s = time.monotonic()
        self._ms[stage] += (now_s - self._last_s) * 1e3
        self._last_s = now_s

    def timings(self, queue_ms: float) -> Timings:
        """Up to the last lap."""
        return Timings(queue=queue_ms, total=(self._last_s - self._start_s) * 1e3, **self._ms)


def _tiles(frame: Frame, tiling: Tiling | None, bank: LevelBank) -> list[Tile]:
    """The parts to look at; none = the picture as it is (also what is none: found out later)."""
    size: tuple[int, ...] = getattr(frame.image, 'shape', ())[:2]
    if tiling is None or len(size) < 2 or not all(size):
        return []
    tiles = tiling.views(size[1], size[0], bank.ladder.input)
    return tiles if len(tiles) > 1 else []
