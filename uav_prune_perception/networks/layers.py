# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks that any channel pruner can cut: convolution + BatchNorm, CSP stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution without bias, BatchNorm, activation (SiLU unless ``act`` is false)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.SiLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Two 3x3 convolutions and a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, width, 3)
        self.conv2 = ConvNorm(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        return x + self.conv2(self.conv1(x))


class CspStage(nn.Module):
    """Cross-stage-partial stage: residual bottlenecks on one half, a 1x1 bypass as the other.

    Two 1x1 convolutions instead of a split keep the two halves independent, so that a pruner
    may cut them differently. Source: Wang et al., CSPNet, 2020 (the form that YOLO calls C3).
    """

    def __init__(self, inputs: int, outputs: int, blocks: int = 1) -> None:
        super().__init__()
        half = max(outputs // 2, 4)
        self.main = ConvNorm(inputs, half)
        self.bypass = ConvNorm(inputs, half)
        self.blocks = nn.Sequential(*(Bottleneck(half) for _ in range(blocks)))
        self.merge = ConvNorm(2 * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H, W]."""
        return self.merge(torch.cat([self.blocks(self.main(x)), self.bypass(x)], dim=1))
