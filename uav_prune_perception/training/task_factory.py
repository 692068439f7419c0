# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A learning task from the plain mapping of a recipe."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from uav_prune_perception.datasets.cifar import cifar10, cifar100
from uav_prune_perception.datasets.detection_folder import detection_folder
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.eurosat import eurosat
from uav_prune_perception.datasets.generated_scenes import generated_set
from uav_prune_perception.datasets.hit_uav import hit_uav
from uav_prune_perception.datasets.image_folder import image_folder
from uav_prune_perception.datasets.imagenet import imagenet
from uav_prune_perception.datasets.scene_folders import aid, nwpu_resisc45, scene_folders

from .augmentation import Augmentation
from .classification_task import ClassificationTask
from .crop_flip import CropFlip
from .detection_metrics import SIZE_LIMITS
from .detection_task import DetectionTask
from .task import LearningTask

DETECTION_SETS: dict[str, Callable[..., Any]] = {
    'generated_scenes': generated_set,
    'hit_uav': hit_uav,
    'detection_folder': detection_folder,
}
CLASSIFICATION_SETS: dict[str, Callable[..., Any]] = {
    'aid': aid,
    'cifar10': cifar10,
    'cifar100': cifar100,
    'eurosat': eurosat,
    'image_folder': image_folder,
    'imagenet': imagenet,
    'nwpu_resisc45': nwpu_resisc45,
    'scene_folders': scene_folders,
}
AUGMENTATIONS: dict[str, type] = {'affine': Augmentation, 'crop_flip': CropFlip}
# Keys of ``data`` that say how is learnt from the pictures, not which they are: by a detector,
DETECTING = ('augmentation', 'mean', 'std', 'repeat_threshold')
# and by a classifier.
LEARNING = ('augmentation', 'mean', 'std', 'label_smoothing', 'teacher_weight', 'temperature')


def make_task(data: Mapping[str, Any]) -> LearningTask:
    """Build a task.

    Args:
        data: ``kind`` (one of `DETECTION_SETS` or `CLASSIFICATION_SETS`), the options of that
            reader, and optionally ``augmentation``: a mapping with the fields of `Augmentation`,
            or with ``kind: crop_flip`` those of `CropFlip` (classification). Detection takes
            ``size_limits``, ``mean``, ``std`` and ``repeat_threshold``, as `DetectionTask`
            does. Classification takes ``mean``, ``std``, ``label_smoothing``,
            ``teacher_weight`` and ``temperature``, as `ClassificationTask` does.

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
    augmentation = _augmentation(options.pop('augmentation', None) or {})
    if kind in DETECTION_SETS:
        if isinstance(augmentation, CropFlip):
            raise DatasetError('data.augmentation.kind: crop_flip is for classification only')
        limits = _size_limits(options.pop('size_limits', SIZE_LIMITS))
        learning = {name: options.pop(name) for name in DETECTING if name in options}
        _check(options, readers[kind], 'data', ('size_limits', *DETECTING))
        learning['repeat_threshold'] = _share(learning.get('repeat_threshold', 0))
        found = readers[kind](**options)
        channels = found.split('val').images.shape[3]
        return DetectionTask(
            found, augmentation, size_limits=limits, **_scaling(learning, channels)
        )
    learning = {name: options.pop(name) for name in LEARNING if name in options}
    _check(options, readers[kind], 'data', LEARNING)
    content = readers[kind](**options)
    channels = content.split('train').images.shape[3]
    return ClassificationTask(content, augmentation, **_scaling(learning, channels))


def _scaling(options: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """The options with ``mean`` and ``std``, where there, as one number for each channel."""
    return {
        name: _per_channel(name, value, channels) if name in ('mean', 'std') else value
        for name, value in options.items()
    }


def _augmentation(changes: Mapping[str, Any]) -> Augmentation | CropFlip | None:
    options = dict(changes)
    kind = options.pop('kind', 'affine')
    if kind not in AUGMENTATIONS:
        choice = _choice(str(kind), list(AUGMENTATIONS))
        raise DatasetError(f'data.augmentation.kind: no "{kind}"; {choice}')
    if not changes:
        return None
    _check(options, AUGMENTATIONS[kind], 'data.augmentation')
    made: Augmentation | CropFlip = AUGMENTATIONS[kind](**options)
    return made


def _per_channel(name: str, value: Any, channels: int) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,) * channels
    numbers = all(isinstance(v, (int, float)) and (name == 'mean' or v > 0) for v in values)
    if len(values) != channels or not numbers:
        raise DatasetError(
            f'data.{name}: needs one number or {channels}, on the 0..1 scale'
            f'{", above 0" if name == "std" else ""}, not {value!r}'
        )
    return tuple(float(v) for v in values)


def _size_limits(value: Any) -> tuple[float, float]:
    numbers = isinstance(value, (list, tuple)) and len(value) == 2 and all(
        isinstance(v, (int, float)) for v in value
    )
    if not numbers or not 0 < value[0] < value[1]:
        raise DatasetError(
            'data.size_limits: needs two rising sides in pixels of the input, such as [32, 96], '
            f'not {value!r}'
        )
    return float(value[0]), float(value[1])


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DatasetError(
            'data.repeat_threshold: needs a share of the training pictures, 0 (nothing is '
            f'repeated) to 1, not {value!r}'
        )
    return float(value)


def _check(
    options: Mapping[str, Any], target: Callable[..., Any], where: str, more: tuple[str, ...] = ()
) -> None:
    parameters = inspect.signature(target).parameters
    for name in options:
        if name not in parameters:
            known = [*parameters, *more]
            raise DatasetError(f'{where}.{name}: unknown; {_choice(name, known)}')
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise DatasetError(f'{where}.{name}: missing')


def _choice(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{near[0]}"?' if near else f'there are {", ".join(names)}'
