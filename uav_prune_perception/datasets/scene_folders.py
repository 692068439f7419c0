# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""AID and NWPU-RESISC45: class folders of aerial scenes, with the splits that papers report.

A share of every class is for training and the rest for test: AID 50 or 20 % (Xia et al. 2017),
NWPU-RESISC45 20 or 10 % (Cheng et al. 2017). Validation pictures come out of the training share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .classification_set import ClassificationSet
from .detection_set import DatasetError
from .image_folder import class_names, list_pictures, read_pictures, share_of_classes

AID_CLASSES = 30
NWPU_CLASSES = 45


def aid(
    root: str | Path, *, train_fraction: float = 0.5, val_fraction: float = 0.1, side: int = 224,
    seed: int = 0, broken: str = 'refuse',
) -> ClassificationSet:
    """AID: 10 000 pictures of 600x600, 30 classes of 220 to 420; see `scene_folders`."""
    return scene_folders(
        root, train_fraction=train_fraction, val_fraction=val_fraction, side=side, seed=seed,
        broken=broken, classes=AID_CLASSES,
    )


def nwpu_resisc45(
    root: str | Path, *, train_fraction: float = 0.2, val_fraction: float = 0.1, side: int = 224,
    seed: int = 0, broken: str = 'refuse',
) -> ClassificationSet:
    """NWPU-RESISC45: 31 500 pictures of 256x256, 45 classes of 700; see `scene_folders`."""
    return scene_folders(
        root, train_fraction=train_fraction, val_fraction=val_fraction, side=side, seed=seed,
        broken=broken, classes=NWPU_CLASSES,
    )


def scene_folders(
    root: str | Path,
    *,
    train_fraction: float,
    val_fraction: float = 0.1,
    side: int = 224,
    seed: int = 0,
    broken: str = 'refuse',
    classes: int | None = None,
) -> ClassificationSet:
    """``root/CLASS/*.jpg``, every class split alike.

    Args:
        root: the class folders.
        train_fraction: share of each class for training and validation; the rest is test.
        val_fraction: share of that training share that is held out for validation.
        side: pictures are stretched to side x side in memory.
        seed: decides the split.
        broken: 'refuse' a broken picture, or 'skip' it.
        classes: how many there must be.

    Raises:
        DatasetError: a folder or classes are missing, a share is empty, a picture is broken.
    """
    folder = Path(root).expanduser()
    for name, share in (('train_fraction', train_fraction), ('val_fraction', val_fraction)):
        if not 0 < share < 1:
            raise DatasetError(f'{name} must lie between 0 and 1, not {share}')
    if not folder.is_dir():
        raise DatasetError(f'{folder}: no such folder')
    names = class_names(folder)
    if classes is not None and len(names) != classes:
        raise DatasetError(f'{folder}: {len(names)} class folders, the set has {classes}')
    samples = list_pictures(folder, names)
    rng = np.random.default_rng(seed)
    test, used = share_of_classes(samples, train_fraction, rng)
    train, val = share_of_classes(used, val_fraction, rng)
    for name, part in (('train', train), ('val', val), ('test', test)):
        missing = set(range(len(names))) - {label for _, label in part}
        if missing:
            raise DatasetError(f'{folder}: split "{name}" has no picture of {names[min(missing)]}')
    shape = (side, side, 3)
    return ClassificationSet(
        names,
        {
            'train': read_pictures(train, shape, broken),
            'val': read_pictures(val, shape, broken),
            'test': read_pictures(test, shape, broken),
        },
    )
