# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 and relatives for image folders; names as in torchvision, so its weights load."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (1x1 convolution where the shape changes)."""

    expansion = 1

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        y = torch.relu(self.bn1(self.conv1(x)))
        skip = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(y)) + skip)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which strides), 1x1 to four times the width, and a shortcut; as in ResNet-50."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, 4 width, H / stride, W / stride]."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        skip = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn3(self.conv3(y)) + skip)


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {
    'basic': BasicBlock, 'bottleneck': Bottleneck
}


class ResNet(nn.Module):
    """Stem, stages of blocks, mean pool, linear layer.

    Args:
        classes: number of classes.
        channels: input channels.
        layers: blocks in each stage; (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34, and
            with bottlenecks ResNet-50.
        widths: channels of each stage (of a bottleneck's 3x3).
        small_stem: 3x3 stride 1 without pooling, for pictures of 32 to 96 pixels; otherwise
            the 7x7 stride 2 stem with max pooling.
        block: 'basic' or 'bottleneck'.
    """

    def __init__(  # noqa: PLR0917 (networks are built by keyword)
        self,
        classes: int,
        channels: int = 3,
        layers: Sequence[int] = (2, 2, 2, 2),
        widths: Sequence[int] = (64, 128, 256, 512),
        small_stem: bool = True,
        block: str = 'basic',
    ) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise ValueError(f"resnet18: block must be 'basic' or 'bottleneck', not {block!r}")
        made = BLOCKS[block]
        if not layers or len(layers) != len(widths):
            raise ValueError(f'resnet18: layers {layers} and widths {widths} differ in length')
        self.small_stem = small_stem
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = nn.Conv2d(channels, widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stage_names = tuple(f'layer{index + 1}' for index in range(len(layers)))
        inputs = widths[0]
        for index, (name, count) in enumerate(zip(self.stage_names, layers, strict=True)):
            outputs = made.expansion * widths[index]
            blocks = [made(inputs, widths[index], 1 if index == 0 else 2)]
            blocks += [made(outputs, widths[index], 1) for _ in range(count - 1)]
            self.add_module(name, nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, images: Tensor) -> Tensor:
        """float32 [B, channels, H, W] -> logits [B, classes]."""
        x = torch.relu(self.bn1(self.conv1(images)))
        if not self.small_stem:
            x = functional.max_pool2d(x, 3, 2, 1)
        for name in self.stage_names:
            x = self.get_submodule(name)(x)
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
