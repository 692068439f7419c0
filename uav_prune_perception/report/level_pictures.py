# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same pictures at every level, as the onboard pipeline sees them."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from uav_prune_perception.ladder import Ladder, LadderError
from uav_prune_perception.onboard.decode import Decoder
from uav_prune_perception.onboard.drawing import draw
from uav_prune_perception.onboard.engines.selection import choose_engines
from uav_prune_perception.onboard.frame import Frame
from uav_prune_perception.onboard.frame_processor import FrameProcessor
from uav_prune_perception.onboard.level_bank import LevelBank
from uav_prune_perception.onboard.options import PipelineOptions

WIDEST = 640  # pixels in the page
JPEG_QUALITY = 82


@dataclass(frozen=True)
class LevelPicture:
    """A picture with what one level found in it: JPEG as base64, and a caption."""

    jpeg_base64: str
    caption: str


def level_pictures(ladder: Ladder, files: Sequence[Path]) -> list[list[LevelPicture]]:
    """For each file one picture per level, the heaviest first.

    Raises:
        LadderError: a file is no picture.
        NoUsableLevel: no level can be loaded.
    """
    bank = LevelBank(ladder, choose_engines(ladder, threads=1))
    bank.load()
    try:
        process, decoder = FrameProcessor(bank), Decoder(ladder, PipelineOptions())
        return [[_one(bank, process, decoder, path, i) for i in bank.usable] for path in files]
    finally:
        bank.close()


def _one(
    bank: LevelBank, process: FrameProcessor, decoder: Decoder, path: Path, index: int
) -> LevelPicture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise LadderError(f'{path}: no picture that OpenCV can read')
    result = process(Frame(image, 'bgr', source=path.name), index, decoder, time.monotonic())
    picture = draw(result, bank.ladder.classes)
    if picture.shape[1] > WIDEST:
        height = round(picture.shape[0] * WIDEST / picture.shape[1])
        picture = cv2.resize(picture, (WIDEST, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    found = f'{len(result.detections)} found' if result.detections is not None else ''
    words = [path.name, f'level {result.level}', found]
    caption = ', '.join(word for word in words if word)
    return LevelPicture(base64.b64encode(jpeg.tobytes()).decode(), caption)
