# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference networks by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .aerial_detector import AerialDetector
from .imported import ImportedNetworkError, imported_network
from .resnet import ResNet
from .resnet_cifar import CifarResNet
from .ssd import Ssd300
from .ultralytics_detector import UltralyticsDetector
from .vgg_bn import VggBn
from .yolo import YoloDetector
from .yolov5 import Yolov5

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    'aerial_detector': AerialDetector,
    'imagenet_resnet18': partial(ResNet, small_stem=False),
    'imagenet_resnet34': partial(ResNet, small_stem=False, layers=(3, 4, 6, 3)),
    'imagenet_resnet50': partial(
        ResNet, small_stem=False, layers=(3, 4, 6, 3), block='bottleneck'
    ),
    'resnet_cifar': CifarResNet,
    'resnet18': ResNet,
    'ssd300': Ssd300,
    'ultralytics': UltralyticsDetector,
    'vgg_bn': VggBn,
    'yolo': YoloDetector,
    'yolov5': Yolov5,
}


class NetworkError(ValueError):
    """A network cannot be built as asked. One line, ready to print."""


def build_network(name: str, *, classes: int, channels: int = 3, **options: Any) -> nn.Module:
    """A freshly initialised network (from torch's global random state).

    Args:
        name: one of `NETWORKS`, or ``module:factory`` for a network of the user's own
            (`imported.imported_network`).
        classes: number of classes.
        channels: input channels.
        options: as the network's constructor documents them.

    Raises:
        NetworkError: unknown name or option, or an option out of range.
    """
    if ':' in name:
        try:
            return imported_network(name, classes=classes, channels=channels, options=options)
        except ImportedNetworkError as error:
            raise NetworkError(str(error)) from None
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ''
        raise NetworkError(
            f'no network "{name}"; there are {", ".join(NETWORKS)}{hint} '
            '(your own is named module:factory)'
        )
    if classes < 1 or channels < 1:
        raise NetworkError(f'{name}: classes {classes} and channels {channels} must be positive')
    for option, value in options.items():
        if isinstance(value, list):  # recipes are YAML, which knows no tuples
            options[option] = tuple(value)
    try:
        return NETWORKS[name](classes=classes, channels=channels, **options)
    except TypeError as error:
        raise NetworkError(f'{name}: {str(error).split("__init__() ")[-1]}') from None
    except ValueError as error:
        raise NetworkError(str(error)) from None
