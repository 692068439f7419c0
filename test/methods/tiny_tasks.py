# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tasks of a few pictures, for methods that look at data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from uav_prune_perception.datasets.classification_set import (
    ClassificationSet,
    ClassificationSplit,
)
from uav_prune_perception.datasets.generated_scenes import generated_set
from uav_prune_perception.training.augmentation import Augmentation
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.detection_task import DetectionTask


def corner_task(count: int = 96, side: int = 24, seed: int = 0) -> ClassificationTask:
    """Noise with a bright square in one of the four corners: the class is which."""
    random = np.random.default_rng(seed)

    def split(n: int) -> ClassificationSplit:
        images = random.integers(0, 90, (n, side, side, 3), dtype=np.uint8)
        labels = np.arange(n) % 4
        half = side // 2
        for image, label in zip(images, labels, strict=True):
            y, x = divmod(int(label), 2)
            image[y * half + 2:y * half + 8, x * half + 2:x * half + 8] += 140
        return ClassificationSplit(images, labels.astype(np.int64))

    still = Augmentation(flip=False, quarter_turns=False, scale=0.0, shift=0.0)
    splits = {'train': split(count), 'val': split(32), 'test': split(32)}
    return ClassificationTask(ClassificationSet(('nw', 'ne', 'sw', 'se'), splits), still)


def scene_task(train: int = 24) -> DetectionTask:
    """A few generated scenes of 96 x 64 pixels."""
    return DetectionTask(generated_set(train=train, val=8, test=8, width=96, height=64))


def corner_pictures(folder: Path) -> Path:
    """The corner pictures as a folder of pictures: 96 to learn from, 32 for val and test."""
    root = folder / 'pictures'
    task = corner_task()
    for name in ('train', 'val', 'test'):
        split = task.data.split(name)
        for index, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = root / name / task.classes[label]
            path.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path / f'{index}.png')
    return root
