# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A small anchor-free detector for small objects seen from above."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cell_boxes import decode
from .layers import ConvNorm, CspStage


class AerialDetector(nn.Module):
    """CSP backbone, top-down pyramid, one decoupled head for each stride.

    In training mode the answer is a list with one raw tensor [B, 4 + classes, h, w] for each
    stride; channels are centre offset x, y (in cells), log width and height (in cells), and
    class logits. In evaluation mode it is float32 [B, 4 + classes, N]: box corners x1, y1, x2,
    y2 in input pixels, then one probability for each class.

    Args:
        classes: number of object classes.
        channels: input channels (3, or 1 for thermal and grey pictures).
        width: multiplies every width of the network.
        depth: residual bottlenecks in each backbone stage.
        strides: where the heads sit, any of 4, 8, 16, ascending.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 3,
        width: float = 1.0,
        depth: int = 1,
        strides: tuple[int, ...] = (8, 16),
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        if not self.strides or not set(self.strides) <= {4, 8, 16}:
            raise ValueError(f'aerial_detector: strides must be of 4, 8, 16, not {strides}')
        if tuple(sorted(set(self.strides))) != self.strides:
            raise ValueError(f'aerial_detector: strides must ascend, not {strides}')
        self.classes = classes
        stem, c4, c8, c16 = (max(8, round(n * width / 8) * 8) for n in (16, 32, 64, 128))
        self.stem = ConvNorm(channels, stem, 3, stride=2)
        self.stage4 = nn.Sequential(ConvNorm(stem, c4, 3, 2), CspStage(c4, c4, depth))
        self.stage8 = nn.Sequential(ConvNorm(c4, c8, 3, 2), CspStage(c8, c8, depth))
        self.stage16 = nn.Sequential(ConvNorm(c8, c16, 3, 2), CspStage(c16, c16, depth), Pool(c16))
        self.neck8 = CspStage(c16 + c8, c8) if self.strides[0] <= 8 else None
        self.neck4 = CspStage(c8 + c4, c4) if self.strides[0] <= 4 else None
        sizes = {4: c4, 8: c8, 16: c16}
        self.heads = nn.ModuleList(Head(sizes[s], c8, classes) for s in self.strides)

    def forward(self, images: Tensor) -> list[Tensor] | Tensor:
        """Float32 [B, channels, H, W] (H and W multiples of 16), normalised as the task says."""
        raw = [head(x) for head, x in zip(self.heads, self.features(images), strict=True)]
        return raw if self.training else decode(raw, self.strides, self.classes)

    def features(self, images: Tensor) -> list[Tensor]:
        """The pyramid's outputs, finest first."""
        p4 = self.stage4(self.stem(images))
        p8 = self.stage8(p4)
        pyramid = {16: self.stage16(p8)}
        if self.neck8 is not None:
            pyramid[8] = self.neck8(torch.cat([double(pyramid[16]), p8], dim=1))
        if self.neck4 is not None:
            pyramid[4] = self.neck4(torch.cat([double(pyramid[8]), p4], dim=1))
        return [pyramid[stride] for stride in self.strides]


class Pool(nn.Module):
    """Two chained max pools beside the input, merged by 1x1: a wider view for almost no work."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = max(width // 2, 4)
        self.reduce = ConvNorm(width, half)
        self.merge = ConvNorm(3 * half, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        x = self.reduce(x)
        once = functional.max_pool2d(x, 5, 1, 2)
        return self.merge(torch.cat([x, once, functional.max_pool2d(once, 5, 1, 2)], dim=1))


class Head(nn.Module):
    """One 3x3 convolution, then box and class outputs as separate 1x1 convolutions."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.mix = ConvNorm(inputs, width, 3)
        self.box = nn.Conv2d(width, 4, 1)
        self.score = nn.Conv2d(width, classes, 1)
        nn.init.zeros_(self.box.weight)
        # A start of two cells square at the cell's centre: assignment by overlap works at once
        start = torch.tensor([0.0, 0.0, math.log(2.0), math.log(2.0)])
        self.box.bias = nn.Parameter(start)
        nn.init.normal_(self.score.weight, std=0.01)
        # Probability 0.01: most cells are ground
        self.score.bias = nn.Parameter(torch.full((classes,), -4.6))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, h, w] -> [B, 4 + classes, h, w]."""
        x = self.mix(x)
        return torch.cat([self.box(x), self.score(x)], dim=1)


def double(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling by two."""
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')
