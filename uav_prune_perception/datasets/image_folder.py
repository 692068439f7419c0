# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Class folders of pictures (AID, NWPU-RESISC45, EuroSAT, ImageNet style)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .annotations import PICTURE_SUFFIXES
from .classification_set import ClassificationSet, ClassificationSplit
from .detection_set import SPLITS, DatasetError, SplitName

LOGGER = logging.getLogger(__name__)

Sample = tuple[Path, int]


def image_folder(
    root: str | Path,
    *,
    width: int,
    height: int,
    channels: int = 3,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    broken: str = 'skip',
) -> ClassificationSet:
    """Read ``root/CLASS/*.jpg``, or ``root/{train,val,test}/CLASS/*.jpg`` where that is there.

    Without sub-folders for the splits, every class is split by ``seed``; with ``train`` and
    ``test`` but no ``val``, val is taken from train. Pictures are stretched to the size.

    Args:
        root: the folder.
        width: of the pictures in memory.
        height: of the pictures in memory.
        channels: 3 (RGB) or 1 (grey).
        val_fraction: share of each class for val where no folder says.
        test_fraction: share of each class for test where no folder says.
        seed: decides the split.
        broken: 'skip' (each is named in one log line) or 'refuse'.

    Raises:
        DatasetError: no folder, no classes, an empty split, or (``refuse``) a broken picture.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DatasetError(f'{folder}: no such folder')
    classes, samples = _samples(folder, val_fraction, test_fraction, seed)
    shape = (height, width, channels)
    splits = {name: read_pictures(samples[name], shape, broken) for name in SPLITS}
    for name, split in splits.items():
        if len(split) == 0:
            raise DatasetError(f'{folder}: split "{name}" is empty; add pictures or change split')
    return ClassificationSet(classes, splits)


def _samples(
    folder: Path, val_fraction: float, test_fraction: float, seed: int
) -> tuple[tuple[str, ...], dict[SplitName, list[Sample]]]:
    rng = np.random.default_rng(seed)
    if not (folder / 'train').is_dir():
        classes = class_names(folder)
        pictures = list_pictures(folder, classes)
        train, rest = share_of_classes(pictures, val_fraction + test_fraction, rng)
        test, val = share_of_classes(rest, val_fraction / (val_fraction + test_fraction), rng)
        return classes, {'train': train, 'val': val, 'test': test}
    classes = class_names(folder / 'train')
    samples: dict[SplitName, list[Sample]] = {}
    for name in SPLITS:
        if (folder / name).is_dir():
            unknown = set(class_names(folder / name)) - set(classes)
            if unknown:
                raise DatasetError(f'{folder / name}: not in train: {", ".join(sorted(unknown))}')
            samples[name] = list_pictures(folder / name, classes)
    if 'test' not in samples:
        raise DatasetError(f'{folder}: has train/ but no test/')
    if 'val' not in samples:
        samples['train'], samples['val'] = share_of_classes(samples['train'], val_fraction, rng)
    return classes, samples


def class_names(folder: Path) -> tuple[str, ...]:
    """The sub-folders, sorted.

    Raises:
        DatasetError: fewer than two.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise DatasetError(f'{folder}: needs one sub-folder for each of two or more classes')
    return tuple(names)


def list_pictures(folder: Path, classes: tuple[str, ...]) -> list[Sample]:
    """Every picture of every class (as a label), sorted by path within it."""
    return [
        (path, label)
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
        for path in sorted((folder / name).rglob('*'))
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]


def share_of_classes(
    samples: list[Sample], fraction: float, rng: np.random.Generator
) -> tuple[list[Sample], list[Sample]]:
    """Split every class: (the rest, its share of at least one where there are two)."""
    rest: list[Sample] = []
    share: list[Sample] = []
    for label in sorted({label for _, label in samples}):
        own = [sample for sample in samples if sample[1] == label]
        count = min(max(1, round(fraction * len(own))), len(own) - 1)
        order = rng.permutation(len(own))
        share += [own[i] for i in sorted(order[:count])]
        rest += [own[i] for i in sorted(order[count:])]
    return rest, share


def read_pictures(
    samples: list[Sample], shape: tuple[int, int, int], broken: str
) -> ClassificationSplit:
    """All of ``samples`` as uint8 [N, height, width, channels], stretched to ``shape``.

    Raises:
        DatasetError: a picture is broken and ``broken`` is 'refuse' ('skip' logs it).
    """
    if broken not in ('skip', 'refuse'):
        raise DatasetError(f"broken must be 'skip' or 'refuse', not {broken!r}")
    images = np.empty((len(samples), *shape), np.uint8)
    labels = np.zeros(len(samples), np.int64)
    count = 0
    for path, label in samples:
        try:
            images[count] = read_picture(path, shape)
        except DatasetError as error:
            if broken == 'refuse':
                raise
            LOGGER.warning('skipped: %s', error)
            continue
        labels[count] = label
        count += 1
    return ClassificationSplit(images[:count], labels[:count])


def read_picture(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """One picture as uint8 [height, width, channels], stretched.

    Raises:
        DatasetError: it cannot be read.
    """
    height, width, channels = shape
    try:
        with Image.open(path) as image:
            picture = image.convert('L' if channels == 1 else 'RGB')
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise DatasetError(f'{path}: broken picture ({error})') from None
    return np.asarray(picture).reshape(shape)
