# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A network of YOLOv5's shape (v6: C3 stages, SPPF, PAN), which takes YOLOv5's state dicts.

Written from the published description of the shape and the key names of public weights; no code of
the original. L1RR prunes the s form (width 0.5, depth 1/3; METHODS.md section 2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .anchor_loss import AnchorLossOptions, anchor_loss
from .layers import ConvNorm

STRIDES = (8, 16, 32)
# Width and height in pixels at 640 px, three for each stride.
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
SIZES = {'n': (0.25, 1 / 3), 's': (0.5, 1 / 3), 'm': (0.75, 2 / 3)}  # width, depth


class Yolov5(nn.Module):
    """Anchor-based detector with the layer numbers of YOLOv5 as its state dict's names.

    In training mode it gives raw maps [B, 3 * (5 + classes), h, w] for strides 8, 16, 32, which
    `training_loss` takes. In evaluation mode it is float32 [B, 4 + classes, N]: corners in input
    pixels, then objectness times class probability. Published weights want pixels in 0..1
    (``data.mean: 0``, ``data.std: 1``).

    Args:
        classes: number of object classes.
        channels: input channels.
        size: 'n', 's' or 'm'.
        width: multiplies the widths in place of the size's.
    """

    def __init__(
        self, classes: int, channels: int = 3, size: str = 's', width: float | None = None
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f'yolov5: size must be one of {", ".join(SIZES)}, not {size!r}')
        self.classes = classes
        scale, depth = SIZES[size]
        scale = scale if width is None else width
        a, b, c, d, e = (math.ceil(n * scale / 8) * 8 for n in (64, 128, 256, 512, 1024))
        one, two, three = (max(1, round(n * depth)) for n in (3, 6, 9))
        stem = ConvNorm(channels, a, 6, 2)
        stem.conv.padding = (2, 2)
        self.model = nn.ModuleDict({
            '0': stem, '1': ConvNorm(a, b, 3, 2), '2': C3(b, b, one),
            '3': ConvNorm(b, c, 3, 2), '4': C3(c, c, two),
            '5': ConvNorm(c, d, 3, 2), '6': C3(d, d, three),
            '7': ConvNorm(d, e, 3, 2), '8': C3(e, e, one), '9': Sppf(e),
            '10': ConvNorm(e, d), '13': C3(2 * d, d, one, residual=False),
            '14': ConvNorm(d, c), '17': C3(2 * c, c, one, residual=False),
            '18': ConvNorm(c, c, 3, 2), '20': C3(2 * c, d, one, residual=False),
            '21': ConvNorm(d, d, 3, 2), '23': C3(2 * d, e, one, residual=False),
            '24': AnchorHead((c, d, e), classes),
        })

    def forward(self, images: Tensor) -> list[Tensor] | Tensor:
        """Float32 [B, channels, H, W], H and W multiples of 32."""
        part = self.model
        p3 = part['4'](part['3'](part['2'](part['1'](part['0'](images)))))
        p4 = part['6'](part['5'](p3))
        top = part['10'](part['9'](part['8'](part['7'](p4))))
        middle = part['14'](part['13'](torch.cat([_double(top), p4], dim=1)))
        fine = part['17'](torch.cat([_double(middle), p3], dim=1))
        mid = part['20'](torch.cat([part['18'](fine), middle], dim=1))
        coarse = part['23'](torch.cat([part['21'](mid), top], dim=1))
        head = part['24']
        assert isinstance(head, AnchorHead)
        raw = [conv(x) for conv, x in zip(head.m, (fine, mid, coarse), strict=True)]
        return raw if self.training else head.decode(raw)

    def training_loss(self, output: list[Tensor], targets: Tensor) -> Tensor:
        """Scalar; targets float32 [M, 6] as `DetectionTask.train_batches` gives them."""
        head = self.model['24']
        assert isinstance(head, AnchorHead)
        return anchor_loss(output, targets, head.anchors, STRIDES, AnchorLossOptions())

    def decoded(self, output: list[Tensor]) -> Tensor:
        """What evaluation mode gives of what training mode gives."""
        head = self.model['24']
        assert isinstance(head, AnchorHead)
        return head.decode(output)


class C3(nn.Module):
    """CSP stage with three 1x1 convolutions, as YOLOv5 names them."""

    def __init__(self, inputs: int, outputs: int, blocks: int, residual: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.cv1, self.cv2 = ConvNorm(inputs, half), ConvNorm(inputs, half)
        self.cv3 = ConvNorm(2 * half, outputs)
        self.m = nn.Sequential(*(Unit(half, residual) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] -> [B, outputs, H, W]."""
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))


class Unit(nn.Module):
    """1x1, 3x3, and the input added in the backbone."""

    def __init__(self, width: int, residual: bool) -> None:
        super().__init__()
        self.cv1, self.cv2 = ConvNorm(width, width), ConvNorm(width, width, 3)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        y = self.cv2(self.cv1(x))
        return x + y if self.residual else y


class Sppf(nn.Module):
    """Three chained 5x5 max pools beside the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = ConvNorm(width, width // 2), ConvNorm(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        views = [self.cv1(x)]
        for _ in range(3):
            views.append(functional.max_pool2d(views[-1], 5, 1, 2))
        return self.cv2(torch.cat(views, dim=1))


class AnchorHead(nn.Module):
    """One 1x1 convolution for each stride; anchors [3, 3, 2] in cells."""

    anchors: Tensor

    def __init__(self, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.classes = classes
        cells = torch.tensor(ANCHORS, dtype=torch.float32)
        self.register_buffer('anchors', cells / torch.tensor(STRIDES).view(3, 1, 1))
        self.m = nn.ModuleList(nn.Conv2d(width, 3 * (5 + classes), 1) for width in widths)
        for conv, stride in zip(self.m, STRIDES, strict=True):
            bias = torch.zeros(3, 5 + classes)
            bias[:, 4] = math.log(8 / (640 / stride) ** 2)  # about 8 objects in a picture
            bias[:, 5:] = math.log(0.6 / max(1e-3, classes - 0.99))
            conv.bias = nn.Parameter(bias.flatten())

    def decode(self, raw: list[Tensor]) -> Tensor:
        """Raw maps of all strides -> float32 [B, 4 + classes, N]."""
        scales = zip(raw, self.anchors, STRIDES, strict=True)
        return torch.cat([self._decode(*scale) for scale in scales], dim=2)

    def _decode(self, raw: Tensor, anchors: Tensor, stride: int) -> Tensor:
        height, width = raw.shape[2], raw.shape[3]
        y = raw.sigmoid().reshape(raw.shape[0], 3, 5 + self.classes, height * width)
        across = torch.arange(width, device=raw.device).repeat(height)
        down = torch.arange(height, device=raw.device).repeat_interleave(width)
        centre = y[:, :, :2] * 2 - 0.5 + torch.stack([across, down])
        half = (y[:, :, 2:4] * 2).square() * anchors.view(1, 3, 2, 1) * 0.5
        scores = y[:, :, 4:5] * y[:, :, 5:]
        boxes = torch.cat([centre - half, centre + half], dim=2) * float(stride)
        return torch.cat([boxes, scores], dim=2).transpose(1, 2).flatten(2)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')
