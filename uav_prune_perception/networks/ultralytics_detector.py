# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors of the ultralytics package (AGPL-3.0), where the user has it installed.

Nothing of it is imported before a recipe asks for ``network.name: ultralytics``, and nothing of it
is part of this package. A ``.pt`` file is a pickled network: opening one runs what it says, by
ultralytics' own loader, so give only files that you trust.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .cell_boxes import decode
from .weights import Origin

HEADS = ('Detect', 'v10Detect')  # not those of masks, key points, turned boxes, whole pictures


class UltralyticsDetector(nn.Module):
    """A detection network of ultralytics behind our interface, with its own loss.

    In training mode the answer is the network's own, which `training_loss` takes. In evaluation
    mode it is float32 [B, 4 + classes, N]: corners in input pixels, then probabilities; heads that
    need no NMS (YOLOv10, YOLO26) fly with their other head, and NMS. Pictures are wanted in 0..1
    (``data.mean: 0``, ``data.std: 1``).

    Args:
        classes: number of object classes; a head with another number is made anew.
        channels: input channels.
        model: a ``.pt`` file, or a ``.yaml`` of yours or of the package such as ``yolov8n.yaml``.

    Attributes:
        origin: what a ``.pt`` says of how it was trained; None of a ``.yaml``.

    Raises:
        ValueError: ultralytics is not installed, no such file, or no detection network in it.
    """

    def __init__(self, classes: int, channels: int = 3, model: str = 'yolov8n.yaml') -> None:
        super().__init__()
        self.classes = classes
        self.net, self.origin = _network(model, classes, channels)
        head = self._head()
        for name in [name for name in head._modules if name.startswith('one2one_')]:
            setattr(head, name, None)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_('.dfl.' not in name)
        self.strides = tuple(int(stride) for stride in head.stride)
        self.train(self.training)

    def train(self, mode: bool = True) -> UltralyticsDetector:
        """As any module; the head alone always gives raw maps, which are decoded here."""
        super().train(mode)
        self._head().training = True
        return self

    def forward(self, images: Tensor) -> Any:
        """Float32 [B, channels, H, W] in 0..1, H and W multiples of the last stride."""
        output = self.net(images)
        return output if self.training else self.decoded(output)

    def decoded(self, output: Any) -> Tensor:
        """Its answer in training, as it is given in evaluation: what distillation compares."""
        raw, bins = _maps(output), int(self._head().reg_max)
        if bins > 1:
            return decode(raw, self.strides, self.classes)
        scores = torch.cat([r[:, 4:].flatten(2) for r in raw], dim=2).sigmoid()
        boxes = [_by_distance(r, s) for r, s in zip(raw, self.strides, strict=True)]
        return torch.cat([torch.cat(boxes, dim=2), scores], dim=1)

    def training_loss(self, output: Any, targets: Tensor) -> Tensor:
        """Its own loss for a picture; targets float32 [M, 6] as `DetectionTask.train_batches`.

        The package's is this times the batch, beside which a teacher would hardly be heard.
        """
        first = _maps(output)[0]
        height, width = (int(n) * self.strides[0] for n in first.shape[2:])
        real = targets[targets[:, 1] >= 0]
        low, high = real[:, 2:4], real[:, 4:6]
        size = real.new_tensor([width, height])
        batch = {
            'batch_idx': real[:, 0], 'cls': real[:, 1],
            'bboxes': torch.cat([(low + high) / 2 / size, (high - low) / size], dim=1),
        }
        loss, _ = self.net.init_criterion()(output, batch)  # type: ignore[operator]
        return loss.sum() / len(first)

    def _head(self) -> Any:
        layers: Any = self.net.model
        return layers[-1]


def _network(model: str, classes: int, channels: int) -> tuple[nn.Module, Origin | None]:
    try:
        tasks: Any = importlib.import_module('ultralytics.nn.tasks')
        settings: Any = importlib.import_module('ultralytics.cfg')
    except ImportError:
        raise ValueError(
            'ultralytics: the package is not installed; pip install ultralytics (its licence is '
            'AGPL-3.0), or use the built-in "yolo" or "yolov5"'
        ) from None
    path = Path(model).expanduser()
    if path.suffix not in ('.pt', '.yaml', '.yml'):
        raise ValueError(f'ultralytics: model must be a .pt or .yaml file, not {model!r}')
    if path.suffix == '.pt' and not path.is_file():
        raise ValueError(f'ultralytics: {path}: no such file (nothing is downloaded)')
    try:
        net, origin = _from_file(path, tasks, classes, channels)
        head = type(net.model[-1]).__name__
    except Exception as error:  # its loaders raise anything
        text = ' '.join(str(error).split())[:200]
        raise ValueError(f'ultralytics: {model}: {type(error).__name__}: {text}') from error
    if head not in HEADS:
        raise ValueError(
            f'ultralytics: {model}: ends in {head}, and only boxes are learnt and flown; give the '
            f'detection network of its family (ending in {" or ".join(HEADS)})'
        )
    net.args = settings.get_cfg()  # the gains of its loss
    return net, origin


def _from_file(
    path: Path, tasks: Any, classes: int, channels: int
) -> tuple[Any, Origin | None]:
    if path.suffix != '.pt':
        return tasks.DetectionModel(str(path), ch=channels, nc=classes, verbose=False), None
    found: Any = importlib.import_module('ultralytics').YOLO(str(path)).model.float()
    names = found.names.values() if isinstance(found.names, Mapping) else found.names
    origin = Origin(path.name, tuple(str(name) for name in names), _channels(found))
    if (len(origin.classes), origin.channels) == (classes, channels):
        return found, origin
    fresh = tasks.DetectionModel(found.yaml, ch=channels, nc=classes, verbose=False)
    fresh.load(found, verbose=False)  # what fits
    return fresh, origin


def _channels(net: nn.Module) -> int:
    return next(m for m in net.modules() if isinstance(m, nn.Conv2d)).in_channels


def _maps(output: Any) -> list[Tensor]:
    """Raw maps [B, 4 * bins + classes, h, w] of every stride, whatever the version gives."""
    if not isinstance(output, Mapping):
        return list(output)
    maps, start = [], 0
    for feature in output['feats']:
        height, width = feature.shape[2], feature.shape[3]
        parts = [
            output[name][:, :, start:start + height * width] for name in ('boxes', 'scores')
        ]
        maps.append(torch.cat(parts, dim=1).reshape(parts[0].shape[0], -1, height, width))
        start += height * width
    return maps


def _by_distance(raw: Tensor, stride: int) -> Tensor:
    """Left, top, right, bottom in cells -> corners [B, 4, h * w] in pixels."""
    height, width = raw.shape[2], raw.shape[3]
    x = torch.arange(width, device=raw.device, dtype=raw.dtype).add(0.5).repeat(height)
    y = torch.arange(height, device=raw.device, dtype=raw.dtype).add(0.5).repeat_interleave(width)
    left, top, right, bottom = raw[:, :4].flatten(2).unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1) * float(stride)
