# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Loss of an anchor-free detector: task-aligned assignment, quality focal loss, CIoU.

Assignment after Feng et al., TOOD, 2021: of the cells in or close to a box, the ones whose
prediction already fits best learn it. Two changes for tiny boxes: cells within one cell of the
centre are candidates even where the box contains no cell centre, and the best candidate of
every box always learns. CIoU alone lets a prediction around a tiny box grow (a larger hull
lowers the distance term faster than the overlap falls), so the log ratio of the sides is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from uav_prune_perception.networks.box_overlap import ciou, iou_matrix
from uav_prune_perception.networks.cell_boxes import box_bins, decode_boxes

from .ranks import share_of_sum

IGNORE = -1  # class of a target row that is a region to ignore


@dataclass(frozen=True)
class DetectionLossOptions:
    """Weights and assignment.

    Attributes:
        topk: cells that learn one box, at most.
        score_power: exponent of the class score in the fit.
        overlap_power: exponent of the overlap in the fit.
        box_weight: weight of the box loss against the class loss.
        size_weight: weight of the sides' log ratio within the box loss.
        reach: candidates lie within so many cells of the centre.
        bins_weight: weight of the distributions' loss, for heads that have them.
    """

    topk: int = 8
    score_power: float = 0.5
    overlap_power: float = 4.0
    box_weight: float = 2.5
    size_weight: float = 0.25
    reach: float = 1.5
    bins_weight: float = 0.5


@dataclass(frozen=True)
class Cells:
    """All output cells of all scales: centres [N, 2] in pixels, stride [N]."""

    centres: Tensor
    strides: Tensor


def detection_loss(
    raw: list[Tensor],
    targets: Tensor,
    width: int,
    options: DetectionLossOptions,
    classes: int | None = None,
) -> Tensor:
    """Loss of one batch.

    Args:
        raw: per scale [B, 4 * bins + classes, h, w], as the detector answers in training mode
            (`networks.cell_boxes`).
        targets: float32 [M, 6]: picture index, class (or `IGNORE`), corners in pixels.
        width: input width in pixels.
        options: weights and assignment.
        classes: how many; None: all channels but four.

    Returns:
        Scalar.
    """
    cells, boxes, logits = flatten_outputs(raw, width, classes)
    batch, count, classes = logits.shape
    quality = torch.zeros(batch, count, classes, device=logits.device)
    active = torch.ones(batch, count, device=logits.device)
    picked_cells, wanted_boxes, weights = [], [], []
    with torch.no_grad():
        scores = logits.sigmoid()
    for index in range(batch):
        own = targets[targets[:, 0] == index]
        for region in own[own[:, 1] == IGNORE, 2:]:
            active[index, _inside(cells.centres, region)] = 0.0
        own = own[own[:, 1] != IGNORE]
        if len(own) == 0:
            continue
        with torch.no_grad():
            predicted = (boxes[index].detach(), scores[index])
            cell, target, fit = assign(
                cells, predicted, own[:, 1].long(), own[:, 2:], options
            )
        quality[index, cell, own[target, 1].long()] = fit
        active[index, cell] = 1.0
        picked_cells.append(torch.stack([torch.full_like(cell, index), cell]))
        wanted_boxes.append(own[target, 2:])
        weights.append(fit)
    score_loss = (quality_focal_loss(logits, quality) * active[..., None]).sum()
    weight = torch.cat(weights) if weights else logits.new_zeros(0)
    total = share_of_sum(weight.sum(), least=1.0, nothing=batch)
    if not weights:
        return score_loss / total
    (picture, cell), wanted = torch.cat(picked_cells, dim=1), torch.cat(wanted_boxes)
    picked = boxes[picture, cell]
    misfit = 1.0 - ciou(picked, wanted) + options.size_weight * log_ratio(picked, wanted)
    bins = box_bins(raw[0], classes)
    if bins > 1:
        sides = torch.cat([r[:, :4 * bins].flatten(2) for r in raw], dim=2)[picture, :, cell]
        chosen = Cells(cells.centres[cell], cells.strides[cell])
        misfit = misfit + options.bins_weight * bins_loss(sides, chosen, wanted)
    return (score_loss + options.box_weight * (misfit * weight).sum()) / total


def bins_loss(sides: Tensor, cells: Cells, wanted: Tensor) -> Tensor:
    """Cross entropy of the distances' distributions (Li et al., Generalized Focal Loss, 2020).

    Args:
        sides: logits [P, 4 * bins].
        cells: the P cells that learn.
        wanted: corners [P, 4] in pixels.

    Returns:
        [P], the mean of the four sides.
    """
    bins = sides.shape[1] // 4
    low, high = cells.centres - wanted[:, :2], wanted[:, 2:] - cells.centres
    away = torch.cat([low, high], dim=1) / cells.strides[:, None]
    away = away.clamp(0, bins - 1.01).flatten()
    logits, near = sides.reshape(-1, bins), away.floor().long()
    beyond = away - near
    loss = functional.cross_entropy(logits, near, reduction='none') * (1 - beyond)
    loss = loss + functional.cross_entropy(logits, near + 1, reduction='none') * beyond
    return loss.view(-1, 4).mean(dim=1)


def flatten_outputs(
    raw: list[Tensor], width: int, classes: int | None = None
) -> tuple[Cells, Tensor, Tensor]:
    """All scales in one row: cells, boxes [B, N, 4] in pixels, class logits [B, N, classes]."""
    classes = raw[0].shape[1] - 4 if classes is None else classes
    boxes, logits, centres, strides = [], [], [], []
    for output in raw:
        rows, columns = output.shape[2], output.shape[3]
        stride = width // columns
        boxes.append(decode_boxes(output, stride, classes).transpose(1, 2))
        logits.append(output[:, -classes:].flatten(2).transpose(1, 2))
        y, x = torch.meshgrid(
            torch.arange(rows, device=output.device),
            torch.arange(columns, device=output.device),
            indexing='ij',
        )
        centres.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((rows * columns,), float(stride), device=output.device))
    cells = Cells(torch.cat(centres), torch.cat(strides))
    return cells, torch.cat(boxes, dim=1), torch.cat(logits, dim=1)


def assign(
    cells: Cells,
    predicted: tuple[Tensor, Tensor],
    labels: Tensor,
    wanted: Tensor,
    options: DetectionLossOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells of one picture learn which box, and how strongly.

    Args:
        cells: all cells.
        predicted: corners [N, 4] and probabilities [N, classes].
        labels: wanted class of each box [T].
        wanted: wanted corners [T, 4].
        options: see there.

    Returns:
        cell indices [P], target indices [P], quality in 0..1 [P]; no cell appears twice.
    """
    boxes, scores = predicted
    centre = (wanted[:, :2] + wanted[:, 2:]) / 2
    half = (wanted[:, 2:] - wanted[:, :2]) / 2
    away = (cells.centres[None] - centre[:, None]).abs()
    near = (away <= options.reach * cells.strides[None, :, None]).all(dim=-1)
    close = (away <= torch.maximum(half[:, None], cells.strides[None, :, None])).all(dim=-1)
    overlap = iou_matrix(wanted, boxes)
    fit = scores[:, labels].T.pow(options.score_power) * overlap.pow(options.overlap_power)
    # Distance breaks ties while nothing overlaps yet, so that every box has a best candidate
    distance = away.square().sum(dim=-1).sqrt() / cells.strides[None]
    fit = torch.where(near & close, fit + 1e-9 / (1.0 + distance), torch.zeros_like(fit))
    best, index = fit.topk(min(options.topk, fit.shape[1]), dim=1)
    chosen = torch.zeros_like(fit).scatter_(1, index, best)
    owner_fit, owner = chosen.max(dim=0)
    cell = torch.nonzero(owner_fit > 0).squeeze(1)
    target = owner[cell]
    strongest = torch.zeros(len(wanted), device=fit.device).scatter_reduce(
        0, target, owner_fit[cell], 'amax'
    )
    peak = torch.where(chosen > 0, overlap, torch.zeros_like(overlap)).amax(dim=1)
    quality = owner_fit[cell] / strongest[target].clamp(min=1e-12) * peak[target].clamp(min=0.3)
    return cell, target, quality.clamp(0.0, 1.0)


def quality_focal_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Li et al., Generalized Focal Loss, 2020: |quality - p|^2 * BCE, element by element."""
    entropy = functional.binary_cross_entropy_with_logits(logits, quality, reduction='none')
    return entropy * (quality - logits.sigmoid()).square()


def log_ratio(a: Tensor, b: Tensor) -> Tensor:
    """Sum of |log| of the ratios of the sides of pairs: corners [P, 4] and [P, 4] -> [P]."""
    wh_a, wh_b = (a[:, 2:] - a[:, :2]).clamp(min=1e-3), (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    return (wh_a.log() - wh_b.log()).abs().sum(dim=1)


def distillation_loss(
    raw: list[Tensor], teacher: Tensor, width: int, box_weight: float = 2.5
) -> Tensor:
    """How far a detector is from its teacher's answer.

    Args:
        raw: the student's outputs, as for `detection_loss`.
        teacher: the teacher's evaluation output [B, 4 + classes, N] on the same cells.
        width: input width in pixels.
        box_weight: weight of the boxes, which count where the teacher sees something.
    """
    _, boxes, logits = flatten_outputs(raw, width, teacher.shape[1] - 4)
    return _away(boxes, logits, teacher, box_weight)


def decoded_distillation_loss(
    output: Tensor, teacher: Tensor, box_weight: float = 2.5
) -> Tensor:
    """The same for detectors with a loss of their own.

    Args:
        output: what the student would give in evaluation mode, float32 [B, 4 + classes, N], with
            gradients.
        teacher: likewise, of the teacher; the same candidates in the same order.
        box_weight: as above.
    """
    logits = output[:, 4:].float().logit(eps=1e-6)
    return _away(output[:, :4].transpose(1, 2), logits.transpose(1, 2), teacher, box_weight)


def _away(boxes: Tensor, logits: Tensor, teacher: Tensor, box_weight: float) -> Tensor:
    wanted_boxes = teacher[:, :4].transpose(1, 2)
    probability = teacher[:, 4:].transpose(1, 2)
    weight = probability.amax(dim=-1)
    total = share_of_sum(weight.sum(), least=1.0)
    score_loss = quality_focal_loss(logits, probability).sum()
    seen = weight > 0.1
    overlap = ciou(boxes[seen], wanted_boxes[seen])
    return (score_loss + box_weight * ((1.0 - overlap) * weight[seen]).sum()) / total


def _inside(points: Tensor, box: Tensor) -> Tensor:
    return ((points >= box[:2]) & (points <= box[2:])).all(dim=1)
