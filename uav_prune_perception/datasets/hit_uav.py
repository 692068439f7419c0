# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HIT-UAV, thermal pictures from a drone, as packed in three npz files.

Source: Suo et al., HIT-UAV, Scientific Data 10, 227 (2023), CC BY 4.0. A file holds one WebP
blob for each picture, and boxes as rows of class, x, y, width, height in pixels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .detection_set import (
    SPLITS,
    DatasetError,
    DetectionSet,
    DetectionSplit,
    SplitName,
    split_limits,
    spread_evenly,
)

IGNORED = 'DontCare'


def hit_uav(
    root: str | Path,
    *,
    width: int = 640,
    height: int = 512,
    channels: int = 1,
    train_limit: int | None = None,
    eval_limit: int | None = None,
) -> DetectionSet:
    """The set: grey pictures uint8 [N, height, width, channels]; DontCare boxes become ignore.

    Args:
        root: folder with ``hit_uav_{train,val,test}.npz``.
        width: pictures are stretched to this (640 is the original).
        height: pictures are stretched to this (512 is the original).
        channels: 3 gives grey three times over, for networks that were trained on colour.
        train_limit: use only so many training pictures, spread evenly over the set.
        eval_limit: the same for val and test.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    if channels not in (1, 3):
        raise DatasetError(f'data.channels: must be 1 or 3, not {channels!r}')
    folder = Path(root).expanduser()
    files = {name: folder / f'hit_uav_{name}.npz' for name in SPLITS}
    for path in files.values():
        if not path.is_file():
            raise DatasetError(f'{path}: missing; give the folder of the packed HIT-UAV files')
    limits = split_limits(train_limit, eval_limit)
    decides = (width, height, train_limit, eval_limit)
    value = hashlib.sha256(repr(decides if channels == 1 else (*decides, channels)).encode())
    for path in files.values():
        value.update(path.read_bytes())

    load = partial(_load, files=files, size=(width, height), limits=limits, channels=channels)
    return DetectionSet(_classes(files['train']), load, value.hexdigest())


def _load(
    name: SplitName, *, files: dict[SplitName, Path], size: tuple[int, int],
    limits: dict[SplitName, int | None], channels: int,
) -> DetectionSplit:
    split = read_split(files[name], size, limits[name])
    if channels == 1:
        return split
    return dataclasses.replace(split, images=split.images.repeat(channels, axis=3))


def read_split(path: Path, size: tuple[int, int], limit: int | None = None) -> DetectionSplit:
    """Decode one packed file at ``size`` (width, height).

    Raises:
        DatasetError: the file or a picture in it is damaged.
    """
    try:
        with np.load(path) as packed:
            arrays = {key: packed[key] for key in packed.files}
        blob, offsets, first = arrays['blob'], arrays['offsets'], arrays['first_box']
        rows, names = arrays['boxes'], [str(name) for name in arrays['classes']]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f'{path}: not a packed HIT-UAV file ({error})') from None
    chosen = spread_evenly(len(offsets) - 1, limit)
    ignored = names.index(IGNORED) if IGNORED in names else len(names)
    images = np.empty((len(chosen), size[1], size[0], 1), np.uint8)
    boxes, labels, ignore = [], [], []
    for slot, index in enumerate(chosen):
        data = blob[offsets[index]:offsets[index + 1]].tobytes()
        picture = _decode(data, f'{path}: picture {index}')
        scale = np.array(size, np.float32) / picture.shape[1::-1]
        images[slot, :, :, 0] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        corners, kind = _corners(rows[first[index]:first[index + 1]], np.tile(scale, 2))
        boxes.append(corners[kind != ignored])
        labels.append(kind[kind != ignored])
        ignore.append(corners[kind == ignored])
    return DetectionSplit(images, boxes, labels, ignore)


def _corners(
    rows: NDArray[np.float32], scale: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    corners = np.concatenate([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:5]], axis=1) * scale
    return corners.astype(np.float32), rows[:, 0].astype(np.int64)


def _classes(path: Path) -> tuple[str, ...]:
    try:
        with np.load(path) as packed:
            names = [str(name) for name in packed['classes']]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f'{path}: not a packed HIT-UAV file ({error})') from None
    if IGNORED in names and names[-1] != IGNORED:
        raise DatasetError(f'{path}: {IGNORED} must be the last class, not {names}')
    return tuple(name for name in names if name != IGNORED)


def _decode(data: bytes, where: str) -> NDArray[np.uint8]:
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert('L'))
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DatasetError(f'{where}: {error}') from None
