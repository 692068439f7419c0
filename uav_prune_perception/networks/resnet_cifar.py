# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ResNets for 32x32 pictures (He et al. 2016, section 4.2): depth 20, 32, 44, 56, 110."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PadShortcut(nn.Module):
    """Option A: every second pixel, new channels filled with zeros on both sides, no weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        extra = outputs - inputs
        self.before, self.after = extra // 2, extra - extra // 2

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H / 2, W / 2]."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 and shortcut == 'A':
            self.shortcut = PadShortcut(inputs, outputs)
        elif stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """Stem, three stages of 16, 32, 64 channels, mean pool, linear layer.

    State-dict names follow the checkpoints of Y. Idelbayev (pytorch_resnet_cifar):
    conv1, bn1, layerN.M.conv1..bn2, linear.

    Args:
        classes: number of classes.
        channels: input channels.
        depth: 6n + 2 layers.
        shortcut: 'A' (zero-padded, as published for CIFAR) or 'B' (1x1 convolution).
    """

    def __init__(
        self, classes: int, channels: int = 3, depth: int = 20, shortcut: str = 'A'
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f'resnet_cifar: depth must be 6n + 2 (20, 32, 56, 110), not {depth}')
        if shortcut not in ('A', 'B'):
            raise ValueError(f"resnet_cifar: shortcut must be 'A' or 'B', not {shortcut!r}")
        count = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, count, 1, shortcut)
        self.layer2 = stage(16, 32, count, 2, shortcut)
        self.layer3 = stage(32, 64, count, 2, shortcut)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """float32 [B, channels, H, W] -> logits [B, classes]."""
        x = torch.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


def stage(inputs: int, outputs: int, count: int, stride: int, shortcut: str) -> nn.Sequential:
    """``count`` blocks, the first of which changes width and resolution."""
    blocks = [BasicBlock(inputs, outputs, stride, shortcut)]
    blocks += [BasicBlock(outputs, outputs, 1, shortcut) for _ in range(count - 1)]
    return nn.Sequential(*blocks)
