# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""VGG with BatchNorm for small pictures (Simonyan and Zisserman 2015; CIFAR form)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Number: 3x3 convolution with so many outputs; 0: halve the picture by max pooling.
PLANS: dict[int, tuple[int, ...]] = {
    11: (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512),
    16: (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512),
    19: (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, *(512,) * 4),
}


class VggBn(nn.Module):
    """Plain stack of 3x3 convolutions with BatchNorm, mean pool, one linear layer.

    Args:
        classes: number of classes.
        channels: input channels.
        depth: 11, 16 or 19.
        width: multiplies every width.
    """

    def __init__(
        self, classes: int, channels: int = 3, depth: int = 16, width: float = 1.0
    ) -> None:
        super().__init__()
        if depth not in PLANS:
            raise ValueError(f'vgg_bn: depth must be one of {sorted(PLANS)}, not {depth}')
        layers: list[nn.Module] = []
        inputs = channels
        for number in PLANS[depth]:
            if number == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            outputs = max(4, round(number * width))
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, images: Tensor) -> Tensor:
        """float32 [B, channels, H, W] -> logits [B, classes]."""
        x = functional.adaptive_avg_pool2d(self.features(images), 1)
        return self.classifier(torch.flatten(x, 1))
