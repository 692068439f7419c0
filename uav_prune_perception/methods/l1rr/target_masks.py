# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the targets are, on the grid of a feature level: from boxes, or from class activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from uav_prune_perception.training.task import LearningTask


def box_masks(
    targets: Tensor, pictures: int, classes: int, size: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """Boxes drawn on a grid; a box covers every cell that it touches, so tiny ones count too.

    Args:
        targets: float [M, 6]: picture, class (negative: ignored), corners x1, y1, x2, y2 in
            pixels.
        pictures: B.
        classes: K.
        size: height and width of the pictures in pixels.
        grid: height and width of the feature level.

    Returns:
        Float [K, B, *grid] of zeros and ones.
    """
    masks = torch.zeros(classes, pictures, *grid)
    for label, picture, rows, columns in _cells(targets, size, grid):
        masks[label, picture, rows, columns] = 1.0
    return masks


def object_weights(
    targets: Tensor, pictures: int, classes: int, size: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """As `box_masks`, but every object weighs one, whatever its size.

    The cells of a box share the weight. Small objects are what L1RR says it loses; by area a
    single large box outweighs all of them. This weighing is ours, not the paper's.
    """
    weights = torch.zeros(classes, pictures, *grid)
    for label, picture, rows, columns in _cells(targets, size, grid):
        box = weights[label, picture, rows, columns]
        box += 1.0 / box.numel()
    return weights


def _cells(
    targets: Tensor, size: tuple[int, int], grid: tuple[int, int]
) -> Iterator[tuple[int, int, slice, slice]]:
    """Class, picture, rows and columns of every box."""
    scale = torch.tensor([grid[1] / size[1], grid[0] / size[0]]).repeat(2)
    for row in targets[targets[:, 1] >= 0]:
        x1, y1, x2, y2 = (row[2:] * scale).tolist()
        left, top = min(max(int(x1), 0), grid[1] - 1), min(max(int(y1), 0), grid[0] - 1)
        right = min(max(left + 1, int(-(-x2 // 1))), grid[1])
        bottom = min(max(top + 1, int(-(-y2 // 1))), grid[0])
        yield int(row[1]), int(row[0]), slice(top, bottom), slice(left, right)


def activation_masks(
    model: nn.Module, module: nn.Module, images: Tensor, labels: Tensor
) -> Tensor:
    """Gradient-weighted class activation (Selvaraju et al. 2017) of the true label.

    For a network that ends in a mean pool and a linear layer it is the class-activation map of
    Zhou et al. 2016.

    Args:
        model: a classifier in evaluation mode.
        module: its coarsest feature level, whose output is [B, C, h, w].
        images: [B, channels, H, W].
        labels: int64 [B].

    Returns:
        Float [B, h, w] in 0..1; all ones where the map is zero everywhere.
    """
    caught: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: caught.append(output))
    try:
        with torch.enable_grad():
            logits = model(images.detach().requires_grad_(True))
            chosen = logits.gather(1, labels.view(-1, 1)).sum()
            (slope,) = torch.autograd.grad(chosen, caught[-1])
    finally:
        handle.remove()
    weights = slope.mean((2, 3), keepdim=True)
    found = (weights * caught[-1]).sum(1).relu().detach()
    peak = found.flatten(1).amax(1).view(-1, 1, 1)
    return torch.where(peak > 0, found / peak.clamp_min(1e-12), torch.ones_like(found))


Protect = Literal['none', 'worst_class', 'small_objects']


def protecting_weights(
    task: LearningTask,
    batch: tuple[Tensor, Any],
    grids: Sequence[tuple[int, int]],
    protect: Protect,
) -> list[Tensor] | None:
    """What `feature_attention_loss` takes as weights, by level; None: the masks themselves."""
    if protect != 'small_objects' or task.kind != 'detection':
        return None
    images, targets = batch
    size = (int(images.shape[2]), int(images.shape[3]))
    return [
        object_weights(targets.cpu(), len(images), len(task.classes), size, grid)
        .to(images.device)
        for grid in grids
    ]


def target_masks(
    task: LearningTask,
    model: nn.Module,
    coarsest: nn.Module,
    batch: tuple[Tensor, Any],
    grids: Sequence[tuple[int, int]],
) -> tuple[list[Tensor], Tensor]:
    """Where the targets of each class are, for either kind of task.

    Args:
        task: its kind and classes.
        model: in evaluation mode, for the class activation of a classifier.
        coarsest: its coarsest feature level.
        batch: images [B, channels, H, W] and targets as the task's loss takes them.
        grids: height and width of each level.

    Returns:
        For each level float [K, B, h, w] in 0..1; and bool [K, B], which class is seen where.
    """
    images, targets = batch
    classes = len(task.classes)
    if task.kind == 'detection':
        size = (int(images.shape[2]), int(images.shape[3]))
        boxes = [box_masks(targets.cpu(), len(images), classes, size, grid) for grid in grids]
        boxes = [mask.to(images.device) for mask in boxes]
        return boxes, boxes[0].flatten(2).any(dim=2)
    coarse = activation_masks(model, coarsest, images, targets)
    seen = functional.one_hot(targets, classes).T.bool()
    return [
        mask.expand(classes, -1, -1, -1) * seen[:, :, None, None]
        for mask in resized(coarse, grids)
    ], seen


def resized(mask: Tensor, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
    """A mask [B, h, w] on other grids."""
    return [
        functional.interpolate(mask[:, None], grid, mode='bilinear', align_corners=False)[:, 0]
        for grid in grids
    ]
