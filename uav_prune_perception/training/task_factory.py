# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A learning task from the plain mapping of a recipe."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from uav_prune_perception.datasets.detection_folder import detection_folder
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.generated_scenes import generated_set
from uav_prune_perception.datasets.hit_uav import hit_uav
from uav_prune_perception.datasets.image_folder import image_folder

from .augmentation import Augmentation
from .classification_task import ClassificationTask
from .detection_task import DetectionTask
from .task import LearningTask

DETECTION_SETS: dict[str, Callable[..., Any]] = {
    'generated_scenes': generated_set,
    'hit_uav': hit_uav,
    'detection_folder': detection_folder,
}
CLASSIFICATION_SETS: dict[str, Callable[..., Any]] = {'image_folder': image_folder}


def make_task(data: Mapping[str, Any]) -> LearningTask:
    """Build a task.

    Args:
        data: ``kind`` (generated_scenes, hit_uav, detection_folder, image_folder), the options
            of that reader, and optionally ``augmentation``: a mapping with the fields of
            `Augmentation`.

    Raises:
        DatasetError: unknown kind or option, or the data cannot be read.

    Example:
        make_task({'kind': 'generated_scenes', 'train': 800, 'val': 150, 'test': 150})
    """
    options = dict(data)
    kind = options.pop('kind', None)
    readers = {**DETECTION_SETS, **CLASSIFICATION_SETS}
    if kind not in readers:
        raise DatasetError(f'data.kind: no "{kind}"; {_choice(str(kind), list(readers))}')
    changes = options.pop('augmentation', {})
    augmentation = None
    if changes:
        _check(changes, Augmentation, 'data.augmentation')
        augmentation = Augmentation(**changes)
    _check(options, readers[kind], 'data')
    content = readers[kind](**options)
    if kind in DETECTION_SETS:
        return DetectionTask(content, augmentation)
    return ClassificationTask(content, augmentation)


def _check(options: Mapping[str, Any], target: Callable[..., Any], where: str) -> None:
    parameters = inspect.signature(target).parameters
    for name in options:
        if name not in parameters:
            raise DatasetError(f'{where}.{name}: unknown; {_choice(name, list(parameters))}')
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise DatasetError(f'{where}.{name}: missing')


def _choice(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{near[0]}"?' if near else f'there are {", ".join(names)}'
