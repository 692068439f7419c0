# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much boxes overlap, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Overlap of every pair: corners [T, 4] and [N, 4] -> [T, N]."""
    size = (
        torch.minimum(a[:, None, 2:], b[None, :, 2:])
        - torch.maximum(a[:, None, :2], b[None, :, :2])
    ).clamp(min=0)
    shared = size[..., 0] * size[..., 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    return shared / (area_a[:, None] + area_b[None] - shared).clamp(min=1e-9)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of pairs (Zheng et al. 2020): corners [P, 4] and [P, 4] -> [P]."""
    size = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    shared = size[:, 0] * size[:, 1]
    wh_a, wh_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    union = wh_a.prod(dim=1) + wh_b.prod(dim=1) - shared
    iou = shared / union.clamp(min=1e-9)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]).square().sum(dim=1) / 4
    distance = apart / hull.square().sum(dim=1).clamp(min=1e-9)
    angle_a = torch.atan2(wh_a[:, 0], wh_a[:, 1].clamp(min=1e-6))
    angle_b = torch.atan2(wh_b[:, 0], wh_b[:, 1].clamp(min=1e-6))
    shape = 4 / math.pi**2 * (angle_a - angle_b).square()
    with torch.no_grad():
        trade = shape / (1 - iou + shape).clamp(min=1e-9)
    return iou - distance - trade * shape
