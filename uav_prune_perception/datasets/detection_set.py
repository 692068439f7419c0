# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection data in memory: pictures as bytes, boxes in pixels, three splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SplitName = Literal['train', 'val', 'test']
SPLITS: tuple[SplitName, ...] = ('train', 'val', 'test')


class DatasetError(ValueError):
    """Data is missing, damaged or makes no sense. One line, ready to print."""


def split_limits(train: int | None, evaluate: int | None) -> dict[SplitName, int | None]:
    """How many pictures of each split are taken, by the recipe's two numbers; None: all.

    Raises:
        DatasetError: one leaves no picture.
    """
    for key, limit in (('train_limit', train), ('eval_limit', evaluate)):
        if limit is not None and limit < 1:
            raise DatasetError(f'data.{key}: {limit} leaves no picture; null takes all')
    return {'train': train, 'val': evaluate, 'test': evaluate}


def spread_evenly(there: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of so many of ``there`` pictures; None, or more than there are: of all."""
    count = there if limit is None else min(limit, there)
    return np.linspace(0, there - 1, count).round().astype(np.int64)


@dataclass(frozen=True)
class DetectionSplit:
    """Pictures and their boxes.

    Attributes:
        images: uint8 [N, H, W, C] (RGB, or one grey channel).
        boxes: for each picture float32 [n, 4], corners x1, y1, x2, y2 in pixels.
        labels: for each picture int64 [n], index into the classes.
        ignore: for each picture float32 [m, 4]: regions where nothing is to be learnt or judged.
    """

    images: NDArray[np.uint8]
    boxes: list[NDArray[np.float32]]
    labels: list[NDArray[np.int64]]
    ignore: list[NDArray[np.float32]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.ignore:
            empty = np.zeros((0, 4), np.float32)
            object.__setattr__(self, 'ignore', [empty] * len(self.images))
        lengths = {len(self.images), len(self.boxes), len(self.labels), len(self.ignore)}
        if len(lengths) != 1 or self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DatasetError(
                f'split of {self.images.shape} {self.images.dtype} pictures with '
                f'{len(self.boxes)} box lists, {len(self.labels)} label lists'
            )

    def __len__(self) -> int:
        return len(self.images)

    def box_counts(self, classes: int) -> NDArray[np.int64]:
        """Boxes of each class: int64 [classes]."""
        flat = np.concatenate(self.labels) if self.labels else np.zeros(0, np.int64)
        return np.bincount(flat, minlength=classes)

    def update_hash(self, value: hashlib._Hash) -> None:
        """Feed everything that is in the split to a hash."""
        value.update(np.ascontiguousarray(self.images).data)
        for boxes, labels, ignore in zip(self.boxes, self.labels, self.ignore, strict=True):
            value.update(boxes.astype('<f4').tobytes() + labels.astype('<i8').tobytes())
            value.update(ignore.astype('<f4').tobytes())


class DetectionSet:
    """Classes and three splits; a split is loaded when it is first asked for, then kept.

    Selection and tuning use ``val``. ``test`` is for the one reading at the end, so it costs
    neither time nor memory before. A pickle holds no pictures: another process loads its own.

    Args:
        classes: class names.
        load: gives a split by name; can be pickled where worker processes shall judge.
        sha256: hex digest of everything the splits are made from.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        load: Callable[[SplitName], DetectionSplit],
        sha256: str,
    ) -> None:
        self.classes = classes
        self.sha256 = sha256
        self._load = load
        self._splits: dict[str, DetectionSplit] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, '_splits': {}}

    def split(self, name: str) -> DetectionSplit:
        """One of train, val, test.

        Raises:
            DatasetError: no such split, or it cannot be loaded.
        """
        for known in SPLITS:
            if known == name:
                if name not in self._splits:
                    self._splits[name] = self._load(known)
                return self._splits[name]
        raise DatasetError(f'no split "{name}"; there are {", ".join(SPLITS)}')


def sha256_of_splits(splits: dict[SplitName, DetectionSplit]) -> str:
    """Digest of the content of every split."""
    value = hashlib.sha256()
    for name in SPLITS:
        value.update(name.encode())
        splits[name].update_hash(value)
    return value.hexdigest()
