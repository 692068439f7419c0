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
    """Pictures uint8 [N, H, W, C] and labels int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels) or self.images.ndim != 4:
            raise DatasetError(f'{self.images.shape} pictures with {len(self.labels)} labels')

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ClassificationSet:
    """Classes and three splits; selection uses val, test is read once at the end."""

    classes: tuple[str, ...]
    splits: dict[SplitName, ClassificationSplit]

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
        value = hashlib.sha256(repr(self.classes).encode())
        for name in SPLITS:
            split = self.splits[name]
            value.update(name.encode() + np.ascontiguousarray(split.images).tobytes())
            value.update(split.labels.astype('<i8').tobytes())
        return value.hexdigest()
