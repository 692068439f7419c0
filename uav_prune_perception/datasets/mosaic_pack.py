# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small pictures packed as mosaics in an npz file: a few large WebP or JPEG pictures of tiles.

Keys: ``blob`` uint8, the encoded mosaics one after the other; ``offsets`` where each begins;
``side`` of a tile in pixels; ``labels`` uint8 [N]; ``classes`` names. Tiles run row by row.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .classification_set import ClassificationSplit
from .detection_set import DatasetError


def read_mosaic_pack(path: Path) -> tuple[ClassificationSplit, tuple[str, ...]]:
    """Pictures uint8 [N, side, side, 3] with labels, and the class names.

    Raises:
        DatasetError: missing or damaged.
    """
    if not path.is_file():
        raise DatasetError(f'{path}: missing')
    try:
        with np.load(path) as packed:
            blob, offsets, labels = packed['blob'], packed['offsets'], packed['labels']
            side, classes = int(packed['side']), tuple(str(name) for name in packed['classes'])
        tiles = [
            _tiles(blob[begin:end].tobytes(), side)
            for begin, end in itertools.pairwise(offsets)
        ]
        images = np.concatenate(tiles)[:len(labels)]
    except (OSError, EOFError, ValueError, KeyError, TypeError, ZeroDivisionError, SyntaxError,
            zipfile.BadZipFile, UnidentifiedImageError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DatasetError(f'{path}: not a mosaic pack ({line})') from None
    if len(images) != len(labels) or labels.max(initial=0) >= len(classes):
        raise DatasetError(
            f'{path}: not a mosaic pack ({len(images)} pictures, {len(labels)} labels up to '
            f'{labels.max(initial=0)}, {len(classes)} classes)'
        )
    return ClassificationSplit(images, labels.astype(np.int64)), classes


def _tiles(data: bytes, side: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        mosaic = np.asarray(image.convert('RGB'))
    rows, columns = mosaic.shape[0] // side, mosaic.shape[1] // side
    tiles = mosaic[:rows * side, :columns * side].reshape(rows, side, columns, side, 3)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
