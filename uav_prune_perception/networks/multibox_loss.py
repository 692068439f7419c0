# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""SSD's loss (Liu et al. 2016): match by overlap, smooth L1, softmax with hard negatives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from uav_prune_perception.training.ranks import share_of_sum

from .box_overlap import iou_matrix

VARIANCES = (0.1, 0.2)  # of centre and size offsets
OVERLAP = 0.5
NEGATIVES = 3  # for each positive


def multibox_loss(boxes: Tensor, logits: Tensor, default: Tensor, targets: Tensor) -> Tensor:
    """Scalar loss of one batch.

    Args:
        boxes: offsets [B, 4, N].
        logits: [B, 1 + classes, N]; class 0 is background.
        default: centre and sides in pixels [4, N].
        targets: float32 [M, 6]: picture, class (-1: ignore this region), corners in pixels.
    """
    boxes, default = boxes.transpose(1, 2), default.T
    half = default[:, 2:] / 2
    corners = torch.cat([default[:, :2] - half, default[:, :2] + half], dim=1)
    labels = torch.zeros(boxes.shape[:2], dtype=torch.long, device=boxes.device)
    wanted = torch.zeros_like(boxes)
    for index in range(len(boxes)):
        own = targets[targets[:, 0] == index]
        labels[index], wanted[index] = _match(corners, default, own[own[:, 1] >= 0])
        for region in own[own[:, 1] < 0, 2:]:
            inside = ((default[:, :2] >= region[:2]) & (default[:, :2] <= region[2:])).all(dim=1)
            labels[index, inside & (labels[index] == 0)] = -1
    positive = labels > 0
    count = share_of_sum(positive.sum().to(boxes.dtype), least=1.0)
    offsets = functional.smooth_l1_loss(boxes[positive], wanted[positive], reduction='sum')
    entropy = functional.cross_entropy(logits, labels.clamp(min=0), reduction='none')
    background = torch.where(labels == 0, entropy.detach(), torch.full_like(entropy, -1.0))
    rank = background.argsort(dim=1, descending=True).argsort(dim=1)
    most = (NEGATIVES * positive.sum(dim=1, keepdim=True)).clamp(min=NEGATIVES)
    learnt = positive | ((rank < most) & (labels == 0))
    return (offsets + (entropy * learnt).sum()) / count


def _match(corners: Tensor, default: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Class of every default box (0: background) and its offsets to the box it learns."""
    labels = torch.zeros(len(default), dtype=torch.long, device=default.device)
    if len(real) == 0:
        return labels, torch.zeros_like(default)
    overlap = iou_matrix(real[:, 2:], corners)
    best, owner = overlap.max(dim=0)
    chosen = overlap.argmax(dim=1)  # every box is learnt by its best default box at least
    best[chosen], owner[chosen] = 1.0, torch.arange(len(real), device=owner.device)
    labels = torch.where(best >= OVERLAP, real[owner, 1].long() + 1, labels)
    box = real[owner, 2:]
    centre, size = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).clamp(min=1e-3)
    offsets = (centre - default[:, :2]) / default[:, 2:] / VARIANCES[0]
    scales = (size / default[:, 2:]).log() / VARIANCES[1]
    return labels, torch.cat([offsets, scales], dim=1)
