# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A small network of MobileNet-V2's kind, for small pictures: the benchmark's own.

Written from Sandler et al., MobileNetV2, CVPR 2018. A network whose MACs mislead: its depthwise
convolutions have few and are slow.
"""

from __future__ import annotations

from torch import Tensor, nn

# Expansion, output channels, blocks, stride of the first: of each stage.
STAGES = ((1, 8, 1, 1), (6, 16, 2, 1), (6, 24, 2, 2), (6, 48, 2, 2), (6, 64, 1, 1))
STEM, LAST = 16, 192


class InvertedResiduals(nn.Module):
    """Float32 [B, channels, H, W] -> logits [B, classes].

    Args:
        classes: number of classes.
        channels: input channels.
    """

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_layer(channels, STEM, 3, stride=2)]
        width = STEM
        for expansion, wide, count, stride in STAGES:
            for place in range(count):
                blocks.append(_Block(width, wide, expansion, stride if place == 0 else 1))
                width = wide
        self.features = nn.Sequential(*blocks, _layer(width, LAST, 1))
        self.classifier = nn.Linear(LAST, classes)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = [_layer(inputs, wide, 1)] if expansion > 1 else []
        layers.append(_layer(wide, wide, 3, stride=stride, groups=wide))
        self.layers = nn.Sequential(
            *layers, nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def _layer(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU6(),
    )
