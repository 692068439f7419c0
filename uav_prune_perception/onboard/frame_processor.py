# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame through preprocessing, inference and decoding."""

from __future__ import annotations

import math
import time

from .decode import Decoder
from .frame import Frame
from .level_bank import LevelBank
from .preprocess import Preprocessor
from .results import Classification, Detections, Result, Timings


class FrameProcessor:
    """The stages and their times; for one thread (it owns the input buffer)."""

    def __init__(self, bank: LevelBank) -> None:
        self._bank = bank
        self._preprocess = Preprocessor(bank.ladder.input)

    def __call__(self, frame: Frame, level: int, decoder: Decoder, taken_s: float) -> Result:
        """Process one frame.

        Args:
            frame: the picture.
            level: index of the level to run.
            decoder: with the thresholds in force.
            taken_s: when the worker took the frame, `time.monotonic` seconds.

        Raises:
            ValueError: the picture is not one, or the output is not as the ladder says.
            EngineError: the level is broken.
        """
        frame = frame.unpacked()
        unpacked_s = time.monotonic()
        tensor, geometry = self._preprocess(frame.image, frame.color)
        prepared_s = time.monotonic()
        outputs = self._bank.infer(level, tensor)
        inferred_s = time.monotonic()
        decoded = decoder(outputs, geometry)
        done_s = time.monotonic()
        known = not math.isnan(frame.received_s)
        timings = Timings(
            queue=max(0.0, taken_s - frame.received_s) * 1e3 if known else math.nan,
            unpack=(unpacked_s - taken_s) * 1e3,
            preprocess=(prepared_s - unpacked_s) * 1e3,
            inference=(inferred_s - prepared_s) * 1e3,
            postprocess=(done_s - inferred_s) * 1e3,
            total=(done_s - taken_s) * 1e3,
        )
        return Result(
            frame,
            self._bank.ladder.levels[level].name,
            decoded if isinstance(decoded, Detections) else None,
            decoded if isinstance(decoded, Classification) else None,
            timings,
        )
