# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""EuroSAT RGB: 27 000 Sentinel-2 pictures of 64x64, 10 land uses (Helber et al. 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .classification_set import ClassificationSet, ClassificationSplit
from .detection_set import SPLITS, DatasetError, SplitName
from .image_folder import class_names, list_pictures, read_pictures
from .mosaic_pack import read_mosaic_pack

SHARES = (0.70, 0.15)  # train, val; the rest is test


def eurosat(
    root: str | Path, *, side: int = 64, seed: int = 2025, broken: str = 'refuse'
) -> ClassificationSet:
    """EuroSAT, split 70 / 15 / 15.

    From class folders (``root/AnnualCrop/*.jpg`` ...) one permutation of all pictures in
    folder order is cut in three; with seed 2025 that is the split of the packed files and of the
    weights published with them. Packed files hold their split, so ``seed`` does not matter there.

    Args:
        root: class folders, or ``eurosat_{train,val,test}.npz``.
        side: pictures are resized to it (bilinear, as Pillow does it).
        seed: decides the split of class folders.
        broken: of class folders: 'refuse' a broken picture, or 'skip' it.

    Raises:
        DatasetError: missing or damaged.
    """
    folder = Path(root).expanduser()
    if side < 1:
        raise DatasetError(f'eurosat: side must be positive, not {side}')
    if not folder.is_dir():
        raise DatasetError(f'{folder}: no such folder')
    if any((folder / f'eurosat_{name}.npz').is_file() for name in SPLITS):
        return _packed(folder, side)
    return _folders(folder, side, seed, broken)


def resized(split: ClassificationSplit, side: int) -> ClassificationSplit:
    """Pictures of another size, by Pillow's bilinear filter (which averages when it shrinks)."""
    if split.images.shape[1:3] == (side, side):
        return split
    images = np.empty((len(split), side, side, split.images.shape[3]), np.uint8)
    for index, image in enumerate(split.images):
        picture = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
        images[index] = np.asarray(picture)
    return ClassificationSplit(images, split.labels)


def _packed(folder: Path, side: int) -> ClassificationSet:
    splits: dict[SplitName, ClassificationSplit] = {}
    classes: tuple[str, ...] = ()
    for name in SPLITS:
        path = folder / f'eurosat_{name}.npz'
        split, found = read_mosaic_pack(path)
        if classes and found != classes:
            raise DatasetError(f'{path}: has other classes than the pack before it')
        classes, splits[name] = found, resized(split, side)
    return ClassificationSet(classes, splits)


def _folders(folder: Path, side: int, seed: int, broken: str) -> ClassificationSet:
    classes = class_names(folder)
    samples = list_pictures(folder, classes)
    order = np.random.default_rng(seed).permutation(len(samples))
    train = int(SHARES[0] * len(samples))
    val = train + int(SHARES[1] * len(samples))
    parts: dict[SplitName, NDArray[np.int64]] = {
        'train': order[:train], 'val': order[train:val], 'test': order[val:],
    }
    for name, part in parts.items():
        if len(part) == 0:
            raise DatasetError(f'{folder}: {len(samples)} pictures leave none for {name}')
    return ClassificationSet(
        classes,
        {
            name: read_pictures([samples[index] for index in part], (side, side, 3), broken)
            for name, part in parts.items()
        },
    )
