# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An anchor-free detector of the YOLO shape: residual CSP backbone, PAN neck, decoupled heads.

Written from the published ideas: cross-stage-partial stages (Wang et al., CSPNet, 2020) that hand
on every bottleneck's output (as in ELAN, Wang et al. 2022), spatial pyramid pooling, the path
aggregation neck (Liu et al., PANet, 2018), heads apart for box and class (Ge et al., YOLOX, 2021),
distances as distributions (Li et al., Generalized Focal Loss, 2020). No code of a published YOLO.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cell_boxes import decode
from .layers import Bottleneck, ConvNorm

STRIDES = (4, 8, 16, 32)
WIDTHS = (64, 128, 256, 512, 1024)  # stem, then each stride, at width 1
BLOCKS = (3, 6, 6, 3)  # of each stage, at depth 1
SIZES = {'n': (0.25, 1 / 3), 's': (0.5, 1 / 3)}  # width, depth


class YoloDetector(nn.Module):
    """Anchor-free YOLO.

    In training mode the answer is a list with one raw tensor [B, 4 * bins + classes, h, w] for
    each stride, finest first (`cell_boxes`). In evaluation mode it is float32
    [B, 4 + classes, N]: box corners x1, y1, x2, y2 in input pixels, then one probability for each
    class.

    Args:
        classes: number of object classes.
        channels: input channels (3, or 1 for thermal and grey pictures).
        size: 'n' or 's'.
        width: multiplies the widths in place of the size's.
        strides: where the heads sit: neighbours among 4, 8, 16, 32, ascending. A head at 4 is for
            tiny objects; the backbone ends at the last one.
        bins: of the distances' distributions; 1: plain regression of centre and log size.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 3,
        *,
        size: Literal['n', 's'] = 'n',
        width: float | None = None,
        strides: tuple[int, ...] = (8, 16, 32),
        bins: int = 1,
    ) -> None:
        super().__init__()
        self.classes, self.strides = classes, tuple(strides)
        if size not in SIZES:
            raise ValueError(f'yolo: size must be one of {", ".join(SIZES)}, not {size!r}')
        if bins < 1:
            raise ValueError(f'yolo: bins must be 1 or more, not {bins}')
        first = STRIDES.index(self.strides[0]) if set(self.strides[:1]) & set(STRIDES) else 4
        if not self.strides or STRIDES[first:first + len(self.strides)] != self.strides:
            raise ValueError(
                f'yolo: strides must be neighbours of 4, 8, 16, 32, ascending, not {strides}'
            )
        scale, depth = SIZES[size]
        scale = scale if width is None else width
        stem, *widths = (max(8, round(n * scale / 8) * 8) for n in WIDTHS)
        widths = widths[:first + len(self.strides)]
        blocks = [max(1, round(n * depth)) for n in BLOCKS]
        self.stem = ConvNorm(channels, stem, 3, stride=2)
        self.backbone = nn.ModuleList(
            nn.Sequential(ConvNorm(before, own, 3, 2), ElanStage(own, own, count))
            for before, own, count in zip([stem, *widths], widths, blocks, strict=False)
        )
        self.pool = PyramidPool(widths[-1])
        self.neck = PathAggregation(widths[first:])
        branch = max(16, widths[first] // 2)
        self.heads = nn.ModuleList(
            DecoupledHead(own, branch, classes, bins) for own in widths[first:]
        )

    def forward(self, images: Tensor) -> list[Tensor] | Tensor:
        """Float32 [B, channels, H, W] (multiples of the last stride), normalised by the task."""
        raw = [head(x) for head, x in zip(self.heads, self.features(images), strict=True)]
        return raw if self.training else decode(raw, self.strides, self.classes)

    def features(self, images: Tensor) -> list[Tensor]:
        """The neck's outputs, finest first."""
        x, pyramid = self.stem(images), []
        for stage in self.backbone:
            x = stage(x)
            pyramid.append(x)
        pyramid[-1] = self.pool(x)
        return self.neck(pyramid[-len(self.strides):])


class ElanStage(nn.Module):
    """CSP stage whose merge sees the bypass, the main path, and every bottleneck's output.

    Two 1x1 convolutions in place of one that is split (the same function): a pruner may cut the
    halves apart.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int = 1, residual: bool = True) -> None:
        super().__init__()
        half = max(outputs // 2, 4)
        self.bypass, self.main = ConvNorm(inputs, half), ConvNorm(inputs, half)
        self.blocks = nn.ModuleList(
            Bottleneck(half) if residual else nn.Sequential(
                ConvNorm(half, half, 3), ConvNorm(half, half, 3)
            )
            for _ in range(blocks)
        )
        self.merge = ConvNorm((2 + blocks) * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H, W]."""
        parts = [self.bypass(x), self.main(x)]
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.merge(torch.cat(parts, dim=1))


class PyramidPool(nn.Module):
    """Three chained 5x5 max pools beside the input: views of 5, 9 and 13 cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = max(width // 2, 4)
        self.reduce, self.merge = ConvNorm(width, half), ConvNorm(4 * half, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        views = [self.reduce(x)]
        for _ in range(3):
            views.append(functional.max_pool2d(views[-1], 5, 1, 2))
        return self.merge(torch.cat(views, dim=1))


class PathAggregation(nn.Module):
    """Top-down, then bottom-up merging of a pyramid (Liu et al., PANet, 2018)."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.up = nn.ModuleList(
            ElanStage(fine + coarse, fine, residual=False) for fine, coarse in pairs
        )
        self.shrink = nn.ModuleList(ConvNorm(fine, fine, 3, 2) for fine, _ in pairs)
        self.down = nn.ModuleList(
            ElanStage(fine + coarse, coarse, residual=False) for fine, coarse in pairs
        )

    def forward(self, pyramid: list[Tensor]) -> list[Tensor]:
        """Finest first, in and out, same shapes."""
        levels = list(pyramid)
        for index in range(len(self.up) - 1, -1, -1):
            above = functional.interpolate(levels[index + 1], scale_factor=2.0, mode='nearest')
            levels[index] = self.up[index](torch.cat([above, levels[index]], dim=1))
        for index, (shrink, merge) in enumerate(zip(self.shrink, self.down, strict=True)):
            below = torch.cat([shrink(levels[index]), levels[index + 1]], dim=1)
            levels[index + 1] = merge(below)
        return levels


class DecoupledHead(nn.Module):
    """Two 3x3 convolutions and a 1x1, once for boxes and once for classes."""

    def __init__(self, inputs: int, width: int, classes: int, bins: int) -> None:
        super().__init__()
        self.box = nn.Sequential(
            ConvNorm(inputs, width, 3), ConvNorm(width, width, 3), nn.Conv2d(width, 4 * bins, 1)
        )
        self.score = nn.Sequential(
            ConvNorm(inputs, width, 3), ConvNorm(width, width, 3), nn.Conv2d(width, classes, 1)
        )
        self._start(self.box[-1], self.score[-1], bins)

    @staticmethod
    def _start(box: nn.Module, score: nn.Module, bins: int) -> None:
        assert isinstance(box, nn.Conv2d)
        assert isinstance(score, nn.Conv2d)
        nn.init.zeros_(box.weight)
        # Two cells square at the cell's centre: assignment by overlap works at once
        start = torch.tensor([0.0, 0.0, math.log(2.0), math.log(2.0)])
        if bins > 1:
            start = -(torch.arange(bins) - 1.0).abs().repeat(4)
        box.bias = nn.Parameter(start)
        nn.init.normal_(score.weight, std=0.01)
        # Probability 0.01: most cells are ground
        score.bias = nn.Parameter(torch.full((score.out_channels,), -4.6))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, h, w] -> [B, 4 * bins + classes, h, w]."""
        return torch.cat([self.box(x), self.score(x)], dim=1)
