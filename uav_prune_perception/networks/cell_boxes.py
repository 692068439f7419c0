# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Raw outputs of anchor-free heads to boxes: one prediction in each cell of a grid.

Two codings, told apart by the number of channels. With four box channels these are the centre's
offset x, y and the log width and height, in cells. With ``4 * bins`` they are, for left, top,
right and bottom, the logits of a distribution over distances 0, 1, ..., bins - 1 cells, whose mean
is the distance (Li et al., Generalized Focal Loss, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# exp() of more than this is a box wider than any picture: keeps a wild start finite.
MAX_LOG_SIZE = 6.0


def box_bins(raw: Tensor, classes: int) -> int:
    """Bins of each side in a raw output [B, 4 * bins + classes, h, w]; 1: centre and log size."""
    return (raw.shape[1] - classes) // 4


def decode_boxes(raw: Tensor, stride: int, classes: int) -> Tensor:
    """Raw [B, 4 * bins + classes, h, w] -> corners [B, 4, h * w] in input pixels."""
    height, width = raw.shape[2], raw.shape[3]
    x = torch.arange(width, device=raw.device, dtype=raw.dtype).add(0.5).view(1, 1, 1, width)
    y = torch.arange(height, device=raw.device, dtype=raw.dtype).add(0.5).view(1, 1, height, 1)
    bins = box_bins(raw, classes)
    if bins > 1:
        left, top, right, bottom = distances(raw, bins).split(1, dim=1)
        corners = [x - left, y - top, x + right, y + bottom]
    else:
        centre_x, centre_y = raw[:, 0:1] + x, raw[:, 1:2] + y
        half = raw[:, 2:4].clamp(max=MAX_LOG_SIZE).exp() * 0.5
        half_x, half_y = half[:, 0:1], half[:, 1:2]
        corners = [centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y]
    return (torch.cat(corners, dim=1) * float(stride)).flatten(2)


def distances(raw: Tensor, bins: int) -> Tensor:
    """Mean distance of each side from the cell's centre, in cells: [B, 4, h, w]."""
    sides = raw[:, :4 * bins].reshape(raw.shape[0], 4, bins, raw.shape[2], raw.shape[3])
    at = torch.arange(bins, device=raw.device, dtype=raw.dtype).view(1, 1, bins, 1, 1)
    return (sides.softmax(dim=2) * at).sum(dim=2)


def decode(raw: Sequence[Tensor], strides: Sequence[int], classes: int) -> Tensor:
    """Raw outputs of all scales -> float32 [B, 4 + classes, N]: corners, probabilities."""
    boxes = torch.cat(
        [decode_boxes(r, s, classes) for r, s in zip(raw, strides, strict=True)], dim=2
    )
    scores = torch.cat([r[:, -classes:].flatten(2) for r in raw], dim=2).sigmoid()
    return torch.cat([boxes, scores], dim=1)
