# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""SSD300 on VGG-16 (Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016); ACP's detector."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .multibox_loss import VARIANCES, multibox_loss

SIZE = (300, 300)
GRIDS = ((38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1))
# Sides of the square default boxes in parts of 300 px (the paper's scales), and aspect ratios.
SIDES = (30, 60, 111, 162, 213, 264, 315)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
VGG = (64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'C', 512, 512, 512)
EXTRAS = ((256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1))


class Ssd300(nn.Module):
    """Six feature maps, default boxes of several shapes in each cell.

    In training mode it gives box offsets [B, 4, N], logits [B, 1 + classes, N] and default boxes
    [4, N], which `training_loss` takes. In evaluation mode it is float32 [B, 4 + classes, N]:
    corners in input pixels, then probabilities (softmax, background left out).

    Args:
        classes: number of object classes, without background.
        channels: input channels.
        norm: BatchNorm behind every convolution of the backbone (the paper has none; L1RR and
            slimming need it).
        width: multiplies every width.
    """

    default: Tensor

    def __init__(
        self, classes: int, channels: int = 3, norm: bool = False, width: float = 1.0
    ) -> None:
        super().__init__()
        self.classes = classes

        def wide(count: int) -> int:
            return max(8, round(count * width / 8) * 8)

        self.low = nn.Sequential(*_vgg(
            channels, [step if isinstance(step, str) else wide(step) for step in VGG], norm
        ))
        four, five, seven = wide(512), wide(512), wide(1024)
        self.scale = ChannelScale(four)
        self.high = nn.Sequential(
            nn.MaxPool2d(2),
            *itertools.chain(*(_conv(five, five, 3, norm, padding=1) for _ in range(3))),
            nn.MaxPool2d(3, 1, 1),
            *_conv(five, seven, 3, norm, padding=6, dilation=6), *_conv(seven, seven, 1, norm),
        )
        self.extras = nn.ModuleList()
        extras = [(wide(half), wide(outputs), stride) for half, outputs, stride in EXTRAS]
        inputs = seven
        for half, outputs, stride in extras:
            self.extras.append(nn.Sequential(
                *_conv(inputs, half, 1, norm),
                *_conv(half, outputs, 3, norm, stride=stride, padding=stride - 1),
            ))
            inputs = outputs
        widths = (four, seven, *(outputs for _, outputs, _ in extras))
        shapes = [2 + 2 * len(ratios) for ratios in RATIOS]
        self.register_buffer('default', default_boxes(GRIDS, SIZE), persistent=False)
        self.box = _heads(widths, [4 * n for n in shapes])
        self.score = _heads(widths, [(1 + classes) * n for n in shapes])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor] | Tensor:
        """Float32 [B, channels, H, W]; 300x300, or larger."""
        x = self.low(images)
        maps = [self.scale(x), self.high(x)]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        boxes = torch.cat([_rows(head(x), 4) for head, x in zip(self.box, maps, strict=True)], 2)
        logits = torch.cat(
            [_rows(head(x), 1 + self.classes) for head, x in zip(self.score, maps, strict=True)], 2
        )
        default = self.default
        size = int(images.shape[2]), int(images.shape[3])
        if size != SIZE:
            grids = [(int(x.shape[2]), int(x.shape[3])) for x in maps]
            default = default_boxes(grids, size).to(boxes.device)
        if self.training:
            return boxes, logits, default
        return self.decoded((boxes, logits, default))

    def training_loss(self, output: tuple[Tensor, Tensor, Tensor], targets: Tensor) -> Tensor:
        """Scalar; targets float32 [M, 6] as `DetectionTask.train_batches` gives them."""
        return multibox_loss(*output, targets)

    @staticmethod
    def decoded(output: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """What evaluation mode gives of what training mode gives."""
        boxes, logits, default = output
        centre = default[:2] + boxes[:, :2] * VARIANCES[0] * default[2:]
        half = default[2:] * (boxes[:, 2:] * VARIANCES[1]).clamp(max=6.0).exp() * 0.5
        scores = logits.softmax(dim=1)[:, 1:]
        return torch.cat([centre - half, centre + half, scores], dim=1)


class ChannelScale(nn.Module):
    """Unit length over channels at each place, times a learnt factor for each channel."""

    def __init__(self, width: int, start: float = 20.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, width, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        length = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight


def default_boxes(grids: Sequence[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """Centre and sides in pixels of every default box: float32 [4, N].

    Args:
        grids: height and width of the feature maps.
        size: height and width of the picture; the boxes grow with its larger side.
    """
    unit = max(size) / 300
    parts = []
    for index, (rows, columns) in enumerate(grids):
        side, larger = SIDES[index] * unit, SIDES[index + 1] * unit
        shapes = [(side, side), (math.sqrt(side * larger),) * 2]
        for ratio in RATIOS[index]:
            wide, narrow = side * math.sqrt(ratio), side / math.sqrt(ratio)
            shapes += [(wide, narrow), (narrow, wide)]
        y = (torch.arange(rows) + 0.5).repeat_interleave(columns) * size[0] / rows
        x = (torch.arange(columns) + 0.5).repeat(rows) * size[1] / columns
        centres = torch.stack([x, y])[:, None].expand(-1, len(shapes), -1)
        sides = torch.tensor(shapes).T[:, :, None].expand(-1, -1, rows * columns)
        parts.append(torch.cat([centres, sides]).flatten(1))
    return torch.cat(parts, dim=1)


def _vgg(channels: int, steps: Sequence[int | str], norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for step in steps:
        if isinstance(step, str):
            layers.append(nn.MaxPool2d(2, ceil_mode=step == 'C'))
        else:
            layers += _conv(channels, step, 3, norm, padding=1)
            channels = step
    return layers


def _conv(
    inputs: int, outputs: int, kernel: int, norm: bool, **options: Any
) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, bias=not norm, **options)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return [*layers, nn.ReLU(inplace=True)]


def _heads(widths: Sequence[int], outputs: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Conv2d(width, count, 3, padding=1)
        for width, count in zip(widths, outputs, strict=True)
    )


def _rows(x: Tensor, length: int) -> Tensor:
    """[B, A * length, h, w] -> [B, length, A * h * w]."""
    return x.reshape(x.shape[0], -1, length, x[0, 0].numel()).transpose(1, 2).flatten(2)
