# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Picture files, whole or in tiles, as pixels of the network's input."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.onboard.preprocess import Geometry

from .annotations import PICTURE_ERRORS, AnnotatedPicture
from .detection_set import DatasetError
from .tiling import Tile

LOGGER = logging.getLogger(__name__)
PAD = 114
THREADS = 8
TELL_S = 30.0

Part = tuple[AnnotatedPicture, Tile]


def decoded(
    images: NDArray[np.uint8], parts: Sequence[Part], spec: InputSpec, *, refuse: bool
) -> NDArray[np.bool_]:
    """Decode pictures into rows, letterboxed as the node does it.

    Args:
        images: uint8 [N, H, W, C], written.
        parts: N; those of one picture follow each other, and it is decoded once.
        spec: of the input.
        refuse: whether a broken picture is an error; else it is logged.

    Returns:
        bool [N]: which rows were written.

    Raises:
        DatasetError: names the first broken picture.
    """
    readable = np.ones(len(parts), np.bool_)
    by_picture = [
        [place for place, _ in group]
        for _, group in itertools.groupby(enumerate(parts), lambda item: item[1][0].path)
    ]

    def one(places: list[int]) -> DatasetError | None:
        try:
            picture = _upright(parts[places[0]][0], spec.channels)
        except DatasetError as error:
            return error
        for place in places:
            _letterbox(picture, parts[place][1], spec, images[place])
        return None

    told = time.monotonic()
    with decoding_pool() as pool:
        results = zip(by_picture, pool.map(one, by_picture), strict=True)
        for done, (places, error) in enumerate(results, 1):
            if error is not None:
                if refuse:
                    raise error
                LOGGER.warning('skipped: %s', error)
                readable[places] = False
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                LOGGER.warning('decoded %d of %d pictures', done, len(by_picture))
    return readable


def decoding_threads() -> int:
    """How many decode at once: Pillow and OpenCV work without the interpreter's lock."""
    return min(THREADS, os.cpu_count() or 1)


@contextlib.contextmanager
def decoding_pool() -> Iterator[ThreadPoolExecutor]:
    """So many threads; whoever leaves early does not wait for what has not begun."""
    pool = ThreadPoolExecutor(decoding_threads())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _upright(picture: AnnotatedPicture, channels: int) -> NDArray[np.uint8]:
    pixels = read_upright(picture.path, channels)
    if pixels.shape[:2] != (picture.height, picture.width):
        raise DatasetError(
            f'{picture.path}: broken picture ({pixels.shape[1]}x{pixels.shape[0]}, where its '
            f'header says {picture.width}x{picture.height})'
        )
    return pixels


def _letterbox(
    image: NDArray[np.uint8], part: Tile, spec: InputSpec, target: NDArray[np.uint8]
) -> None:
    cut = image[part.top:part.bottom, part.left:part.right]
    geometry = Geometry.fit(cut.shape[1], cut.shape[0], spec)
    size = (geometry.width, geometry.height)
    resized = cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR)
    rows = slice(geometry.top, geometry.top + geometry.height)
    columns = slice(geometry.left, geometry.left + geometry.width)
    target[:] = PAD
    target[rows, columns] = resized.reshape(geometry.height, geometry.width, -1)


def read_upright(path: Path, channels: int) -> NDArray[np.uint8]:
    """A picture as uint8 [H, W, channels], turned as its EXIF orientation says.

    Raises:
        DatasetError: it cannot be decoded, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            # Pillow squashes colours of 16 bits to 8 on its own; greys stay I;16
            packed = ' '.join(str(tile[3]) for tile in image.tile)
            if image.mode.startswith(('I', 'F')) or ';16' in packed:
                raise DatasetError(
                    f'{path}: {image.mode} picture, more than 8 bits; convert it to 8 bits first'
                )
            upright = ImageOps.exif_transpose(image).convert('L' if channels == 1 else 'RGB')
            return np.asarray(upright).reshape(upright.height, upright.width, channels)
    except DatasetError:
        raise
    except PICTURE_ERRORS as error:
        reason = ' '.join(str(error).split())[:120]
        raise DatasetError(f'{path}: broken picture ({reason})') from None
