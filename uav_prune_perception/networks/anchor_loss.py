# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Loss of an anchor-based YOLO: matching by the ratio of sides, CIoU, overlap as objectness.

Written from the published description: an anchor learns a box whose sides differ from its own by
less than a factor; the cell of the box's centre and its two nearest neighbours learn it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from uav_prune_perception.training.ranks import processes, share_of_sum

from .box_overlap import ciou


@dataclass(frozen=True)
class AnchorLossOptions:
    """Weights.

    Attributes:
        box: of 1 - CIoU.
        score: of the objectness.
        kind: of the class.
        balance: of the objectness of each stride: fine ones have most cells.
        ratio: of the sides, up to which an anchor learns a box.
    """

    box: float = 0.05
    score: float = 1.0
    kind: float = 0.5
    balance: tuple[float, ...] = (4.0, 1.0, 0.4)
    ratio: float = 4.0


@dataclass(frozen=True)
class _Matches:
    """What is learnt where: index tensors [P], boxes [P, 4] centre and size in cells."""

    picture: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    boxes: Tensor
    labels: Tensor


def anchor_loss(
    raw: Sequence[Tensor], targets: Tensor, anchors: Tensor, strides: Sequence[int],
    options: AnchorLossOptions,
) -> Tensor:
    """Scalar loss of one batch, times the batch size (that of all processes).

    Args:
        raw: for each stride [B, A * (5 + classes), h, w].
        targets: float32 [M, 6]: picture, class (-1: ignore this region), corners in pixels.
        anchors: [strides, A, 2] in cells.
        strides: in pixels.
        options: weights.
    """
    loss = raw[0].sum() * 0.0
    for index, (level, stride) in enumerate(zip(raw, strides, strict=True)):
        count = anchors.shape[1]
        shape = (level.shape[0], count, level.shape[1] // count, *level.shape[2:])
        found = level.reshape(shape).permute(0, 1, 3, 4, 2)
        loss = loss + _level_loss(
            found, targets, anchors[index], (float(stride), options.balance[index]), options
        )
    return loss * (raw[0].shape[0] * processes())


def _level_loss(
    found: Tensor, targets: Tensor, anchors: Tensor, scale: tuple[float, float],
    options: AnchorLossOptions,
) -> Tensor:
    stride, balance = scale
    real = targets[targets[:, 1] >= 0]
    match = _match(real, anchors, stride, (found.shape[2], found.shape[3]), options.ratio)
    wanted = torch.zeros_like(found[..., 0])
    loss = found.sum() * 0.0
    learnt = share_of_sum(loss.detach() + len(match.labels), least=1.0)
    if len(match.labels):
        own = found[match.picture, match.anchor, match.row, match.column]
        cell = torch.stack([match.column, match.row], dim=1)
        centre = own[:, :2].sigmoid() * 2 - 0.5 + cell
        size = (own[:, 2:4].sigmoid() * 2).square() * anchors[match.anchor]
        overlap = ciou(_corners(torch.cat([centre, size], dim=1)), _corners(match.boxes))
        loss = loss + options.box * (1.0 - overlap).sum() / learnt
        wanted[match.picture, match.anchor, match.row, match.column] = (
            overlap.detach().clamp(0).to(wanted.dtype)
        )
        if own.shape[1] > 6:
            kinds = functional.one_hot(match.labels, own.shape[1] - 5).to(own.dtype)
            entropy = functional.binary_cross_entropy_with_logits(
                own[:, 5:], kinds, reduction='none'
            )
            loss = loss + options.kind * entropy.mean(dim=1).sum() / learnt
    active = _active(targets, found, stride)
    entropy = functional.binary_cross_entropy_with_logits(
        found[..., 4], wanted, reduction='none'
    )
    active = active | (wanted > 0)
    cells = share_of_sum(active.sum().to(loss.dtype), least=1.0)
    return loss + options.score * balance * (entropy * active).sum() / cells


def _match(
    real: Tensor, anchors: Tensor, stride: float, grid: tuple[int, int], limit: float
) -> _Matches:
    centre = (real[:, 2:4] + real[:, 4:6]) / (2 * stride)
    size = ((real[:, 4:6] - real[:, 2:4]) / stride).clamp(min=1e-3)
    ratio = size[:, None] / anchors[None]
    box, anchor = torch.nonzero(torch.maximum(ratio, 1 / ratio).amax(2) < limit, as_tuple=True)
    # The centre's cell, and the neighbours on the nearer sides
    inside = centre[box] % 1.0
    steps = torch.where(inside < 0.5, -1.0, 1.0)
    cell = centre[box].floor()
    beside = torch.stack([
        cell, cell + steps * steps.new_tensor([1.0, 0.0]), cell + steps * steps.new_tensor([0, 1])
    ])
    limits = cell.new_tensor([grid[1], grid[0]])
    there = ((beside >= 0) & (beside < limits)).all(dim=2)
    box, anchor = (value.expand(3, -1)[there] for value in (box, anchor))
    column, row = beside[there].long().unbind(1)
    boxes = torch.cat([centre, size], dim=1)[box]
    return _Matches(real[box, 0].long(), anchor, row, column, boxes, real[box, 1].long())


def _active(targets: Tensor, found: Tensor, stride: float) -> Tensor:
    """Bool [B, A, h, w]: not in a region to ignore."""
    active = torch.ones(found.shape[:4], dtype=torch.bool, device=found.device)
    for row in targets[targets[:, 1] < 0]:
        x1, y1, x2, y2 = (round(float(v) / stride) for v in row[2:])
        active[int(row[0]), :, y1:y2, x1:x2] = False
    return active


def _corners(boxes: Tensor) -> Tensor:
    half = boxes[:, 2:] / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)
