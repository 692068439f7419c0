# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in the forms in which they are handed on.

Python batches, binary batches, and (CIFAR-10) mosaic packs. There is no validation split in the
originals: it is held out from the training pictures here, the same number of each class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .classification_set import ClassificationSet, ClassificationSplit, held_out
from .detection_set import DatasetError
from .mosaic_pack import read_mosaic_pack
from .pickled_batch import read_pickled_batch

SIDE = 32
PIXELS = 3 * SIDE * SIDE
CIFAR10_CLASSES = (
    'airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck',
)
Split = Literal['train', 'test']


@dataclass(frozen=True)
class _Form:
    """How one distribution lays out its files."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    read: Callable[[Path], ClassificationSplit]
    names: Callable[[Path], tuple[str, ...]]


def cifar10(root: str | Path, *, val: int = 5000, seed: int = 0) -> ClassificationSet:
    """CIFAR-10: 50 000 training pictures less ``val``, 10 000 of test.

    Args:
        root: the folder of the batches, or the one above it.
        val: pictures held out from the training ones, evenly over the classes.
        seed: decides which.

    Raises:
        DatasetError: no batches there, or one is missing or damaged.
    """
    batches = tuple(f'data_batch_{index}' for index in range(1, 6))
    forms = (
        _Form('cifar-10-batches-py', batches, ('test_batch',),
              lambda path: _pickled(path, 'labels'),
              lambda folder: _pickled_names(folder / 'batches.meta', 'label_names')),
        _Form('cifar-10-batches-bin', tuple(f'{name}.bin' for name in batches),
              ('test_batch.bin',), lambda path: _binary(path, 1),
              lambda folder: _text_names(folder / 'batches.meta.txt')),
        _Form('cifar10', tuple(f'cifar10_train_{index}.npz' for index in range(1, 6)),
              ('cifar10_test.npz',), lambda path: read_mosaic_pack(path)[0],
              lambda folder: CIFAR10_CLASSES),
    )
    return _read(Path(root).expanduser(), 'CIFAR-10', forms, classes=10, val=val, seed=seed)


def cifar100(
    root: str | Path, *, val: int = 5000, seed: int = 0, labels: str = 'fine'
) -> ClassificationSet:
    """CIFAR-100: as `cifar10`, with 100 fine or 20 coarse classes.

    Args:
        root: the folder of ``train`` and ``test`` (Python) or ``train.bin`` and ``test.bin``.
        val: pictures held out from the training ones, evenly over the classes.
        seed: decides which.
        labels: 'fine' or 'coarse'.

    Raises:
        DatasetError: as `cifar10`.
    """
    if labels not in ('fine', 'coarse'):
        raise DatasetError(f"cifar100: labels must be 'fine' or 'coarse', not {labels!r}")
    forms = (
        _Form('cifar-100-python', ('train',), ('test',),
              lambda path: _pickled(path, f'{labels}_labels'),
              lambda folder: _pickled_names(folder / 'meta', f'{labels}_label_names')),
        _Form('cifar-100-binary', ('train.bin',), ('test.bin',),
              lambda path: _binary(path, 2, labels == 'fine'),
              lambda folder: _text_names(folder / f'{labels}_label_names.txt')),
    )
    classes = 100 if labels == 'fine' else 20
    return _read(Path(root).expanduser(), 'CIFAR-100', forms, classes=classes, val=val, seed=seed)


def _read(
    root: Path, title: str, forms: tuple[_Form, ...], *, classes: int, val: int, seed: int
) -> ClassificationSet:
    if not root.is_dir():
        raise DatasetError(f'{root}: no such folder')
    for form in forms:
        for folder in (root, root / form.folder):
            if any((folder / name).is_file() for name in (*form.train, *form.test)):
                return _from(form, folder, classes, val, seed)
    wanted = ', '.join(f'{form.folder}/{form.test[0]}' for form in forms)
    raise DatasetError(f'{root}: no batches of {title}; looked for {wanted} (unpack the archive)')


def _from(form: _Form, folder: Path, classes: int, val: int, seed: int) -> ClassificationSet:
    for name in (*form.train, *form.test):
        if not (folder / name).is_file():
            raise DatasetError(f'{folder / name}: missing')
    names = form.names(folder)
    if len(names) != classes:
        raise DatasetError(f'{folder}: names {len(names)} classes, wanted {classes}')
    parts = [form.read(folder / name) for name in (*form.train, *form.test)]
    for part, name in zip(parts, (*form.train, *form.test), strict=True):
        if part.labels.min(initial=0) < 0 or part.labels.max(initial=0) >= classes:
            raise DatasetError(f'{folder / name}: has labels outside 0..{classes - 1}')
    whole = ClassificationSplit(
        np.concatenate([part.images for part in parts[:-1]]),
        np.concatenate([part.labels for part in parts[:-1]]),
    )
    train, held = held_out(whole, val, seed)
    return ClassificationSet(names, {'train': train, 'val': held, 'test': parts[-1]})


def _pickled(path: Path, key: str) -> ClassificationSplit:
    batch = read_pickled_batch(path)
    data, labels = batch.get('data'), batch.get(key)
    if not isinstance(data, np.ndarray) or not isinstance(labels, list):
        raise DatasetError(f'{path}: not a CIFAR batch (no data and {key} in it)')
    if not all(isinstance(label, int) for label in labels):
        raise DatasetError(f'{path}: not a CIFAR batch ({key} are not numbers)')
    return _pictures(path, data, np.array(labels, np.int64))


def _binary(path: Path, label_bytes: int, last: bool = True) -> ClassificationSplit:
    data = np.fromfile(path, np.uint8)
    row = label_bytes + PIXELS
    if len(data) == 0 or len(data) % row:
        raise DatasetError(f'{path}: {len(data)} bytes are no whole number of {row}-byte rows')
    rows = data.reshape(-1, row)
    label = rows[:, label_bytes - 1 if last else 0]
    return _pictures(path, rows[:, label_bytes:], label.astype(np.int64))


def _pictures(
    path: Path, data: NDArray[np.uint8], labels: NDArray[np.int64]
) -> ClassificationSplit:
    """Rows of three planes -> uint8 [N, 32, 32, 3]."""
    if data.ndim != 2 or data.shape != (len(labels), PIXELS):
        raise DatasetError(f'{path}: pictures {data.shape} with {len(labels)} labels')
    images = data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return ClassificationSplit(np.ascontiguousarray(images), labels)


def _pickled_names(path: Path, key: str) -> tuple[str, ...]:
    names = read_pickled_batch(path).get(key)
    if not isinstance(names, list):
        raise DatasetError(f'{path}: no {key} in it')
    return tuple(str(name) for name in names)


def _text_names(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise DatasetError(f'{path}: missing')
    return tuple(line.strip() for line in path.read_text('utf-8').splitlines() if line.strip())
