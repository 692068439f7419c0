# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification data in memory: pictures as bytes, one label each, three splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detection_set import SPLITS, DatasetError, SplitName


@dataclass(frozen=True)
class ClassificationSplit:
    """Pictures uint8 [N, H, W, C] and labels int64 [N].

    ``images`` is an array, or behaves as one (`imagenet.LazyPictures`).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels) or self.images.ndim != 4:
            raise DatasetError(f'{self.images.shape} pictures with {len(self.labels)} labels')

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ClassificationSet:
    """Classes and three splits; selection uses val, test is read once at the end.

    ``digest`` stands for the content where hashing all of it would take too long.
    """

    classes: tuple[str, ...]
    splits: dict[SplitName, ClassificationSplit]
    digest: str | None = None

    def split(self, name: str) -> ClassificationSplit:
        """One of train, val, test.

        Raises:
            DatasetError: no such split.
        """
        for known, split in self.splits.items():
            if known == name:
                return split
        raise DatasetError(f'no split "{name}"; there are {", ".join(self.splits)}')

    @property
    def sha256(self) -> str:
        """Digest of the content of every split."""
        if self.digest is not None:
            return self.digest
        value = hashlib.sha256(repr(self.classes).encode())
        for name in SPLITS:
            split = self.splits[name]
            value.update(name.encode() + np.ascontiguousarray(split.images).tobytes())
            value.update(split.labels.astype('<i8').tobytes())
        return value.hexdigest()


def held_out(
    split: ClassificationSplit, count: int, seed: int
) -> tuple[ClassificationSplit, ClassificationSplit]:
    """(the rest, ``count`` items evenly over the classes), both in the original order.

    Args:
        split: what to take from.
        count: items to take; classes differ by one at most, those with more items first.
        seed: decides which.

    Raises:
        DatasetError: fewer than one for each class asked, or nothing would be left of a class.
    """
    labels, sizes = np.unique(split.labels, return_counts=True)
    if not len(labels) <= count:
        raise DatasetError(f'val: {count} pictures are fewer than {len(labels)} classes')
    rng = np.random.default_rng(seed)
    share = np.full(len(labels), count // len(labels))
    share[np.argsort(-sizes, kind='stable')[:count % len(labels)]] += 1
    if (share >= sizes).any():
        raise DatasetError(f'val: {count} pictures would leave none of a class to learn from')
    held = np.zeros(len(split), bool)
    for label, number in zip(labels, share, strict=True):
        held[rng.permutation(np.flatnonzero(split.labels == label))[:number]] = True
    return (
        ClassificationSplit(split.images[~held], split.labels[~held]),
        ClassificationSplit(split.images[held], split.labels[held]),
    )
