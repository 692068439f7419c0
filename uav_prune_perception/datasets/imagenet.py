# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet-style folders: too many pictures for memory, so they are decoded when asked for.

``root/train/CLASS/*`` and ``root/val/CLASS/*``. The official validation pictures are the test
split here, as everywhere in the literature; our validation split is held out of ``train``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .classification_set import ClassificationSet, ClassificationSplit
from .decoding import decoding_threads
from .detection_set import DatasetError
from .image_folder import Sample, class_names, list_pictures


class LazyPictures:
    """Behaves as a uint8 array [N, side, side, 3] that is decoded where it is indexed.

    Args:
        paths: of the pictures.
        side: of the centre crop.
        resize: the shorter side is brought to this before.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, paths: Sequence[Path], side: int, resize: int) -> None:
        self.paths, self.side, self.resize = list(paths), side, resize
        self.shape = (len(self.paths), side, side, 3)
        self._pool = ThreadPoolExecutor(decoding_threads())

    def __reduce__(self) -> tuple[type[LazyPictures], tuple[Sequence[Path], int, int]]:
        return LazyPictures, (self.paths, self.side, self.resize)  # threads stay where they are

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        if isinstance(index, slice):
            wanted = self.paths[index]
        elif isinstance(index, np.ndarray):
            wanted = [self.paths[int(i)] for i in index]
        else:
            return self._decode(self.paths[index])
        if not wanted:
            return np.zeros((0, *self.shape[1:]), np.uint8)
        return np.stack(list(self._pool.map(self._decode, wanted)))

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        try:
            with Image.open(path) as image:
                image.draft('RGB', (self.resize, self.resize))
                picture = image.convert('RGB')
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            raise DatasetError(f'{path}: broken picture ({error})') from None
        scale = self.resize / min(picture.size)
        size = tuple(max(self.side, round(scale * length)) for length in picture.size)
        picture = picture.resize(cast(tuple[int, int], size), Image.Resampling.BILINEAR)
        left, top = ((length - self.side) // 2 for length in size)
        return np.asarray(picture.crop((left, top, left + self.side, top + self.side)))


def imagenet(
    root: str | Path, *, side: int = 224, resize: int = 256, val: int = 10000, seed: int = 0
) -> ClassificationSet:
    """ImageNet-style folders, decoded on demand.

    Args:
        root: has ``train/`` and ``val/``, each with one folder for each class.
        side: of the centre crop.
        resize: of the shorter side before it.
        val: pictures held out of train for selection.
        seed: decides which.

    Raises:
        DatasetError: folders are missing or differ. A broken picture is named when it is read.
    """
    folder = Path(root).expanduser()
    if not 0 < side <= resize:
        raise DatasetError(f'imagenet: side {side} must be positive and at most resize {resize}')
    for name in ('train', 'val'):
        if not (folder / name).is_dir():
            raise DatasetError(f'{folder / name}: missing')
    classes = class_names(folder / 'train')
    if class_names(folder / 'val') != classes:
        raise DatasetError(f'{folder}: train/ and val/ have different classes')
    train = list_pictures(folder / 'train', classes)
    test = list_pictures(folder / 'val', classes)
    order = np.random.default_rng(seed).permutation(len(train))
    if not 0 < val < len(train) or not test:
        raise DatasetError(f'{folder}: {len(train)} pictures of train leave no {val} for val')
    held = sorted(order[:val])
    rest = sorted(order[val:])

    def split(samples: list[Sample]) -> ClassificationSplit:
        pictures = LazyPictures([path for path, _ in samples], side, resize)
        labels = np.array([label for _, label in samples], np.int64)
        return ClassificationSplit(cast(NDArray[np.uint8], pictures), labels)

    digest = hashlib.sha256(repr((side, resize, val, seed)).encode())
    for path, _ in (*train, *test):  # names and sizes: reading 150 GB for a digest is too much
        digest.update(f'{path.relative_to(folder)} {path.stat().st_size}\n'.encode())
    return ClassificationSet(
        classes,
        {
            'train': split([train[index] for index in rest]),
            'val': split([train[index] for index in held]),
            'test': split(test),
        },
        digest=digest.hexdigest(),
    )
