# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a cut would do to the feature attention of a trained network: forward passes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .attention import attention_map, feature_attention_loss
from .candidates import Candidates, Silent
from .feature_levels import caught, find_levels
from .target_masks import Protect, protecting_weights, target_masks

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph
    from uav_prune_perception.training.task import LearningTask


@dataclass(frozen=True)
class _Reference:
    """One batch: pictures, attention of the whole network, and masks, by level.

    ``masks`` are [K, B, h, w], ``seen`` (bool [K, B]) says which class has a target where;
    ``weights`` are as `protecting_weights` gives them.
    """

    images: Tensor
    maps: list[Tensor]
    masks: list[Tensor]
    seen: Tensor
    weights: list[Tensor] | None


class AttentionProbe:
    """L_FA of candidates against the whole network, on labelled training pictures.

    Args:
        model: the network before the cut.
        graph: its channel graph.
        task: gives pictures with boxes or labels; BatchNorm stays frozen.
        pictures: how many (METHODS.md: 200).
        batch_size: of the forward passes.
        protect: 'none': all targets count alike; 'worst_class': the loss is that of the class
            whose attention suffers most, so that rare or tiny targets decide; 'small_objects':
            likewise, and within a class every object weighs the same, whatever its size.
        device: where to compute.
    """

    def __init__(
        self,
        model: nn.Module,
        graph: ChannelGraph,
        task: LearningTask,
        *,
        pictures: int = 200,
        batch_size: int = 20,
        protect: Protect = 'none',
        device: str = 'cpu',
    ) -> None:
        self.candidates = Candidates(model, graph, device)
        example = task.example_input().to(device)
        self.levels = find_levels(self.candidates.model, graph, example)
        self.task, self.protect = task, protect
        batch_size = min(batch_size, pictures)
        count = -(-pictures // batch_size)
        self.references = [
            self._reference(images.to(device), targets.to(device))
            for images, targets in task.labelled_batches(count, batch_size)
        ]

    @torch.no_grad()
    def losses(self, gone: Silent) -> Tensor:
        """L_FA of each class with ``gone`` silenced: float [K]; NaN for classes never seen.

        Without protection K is 1: all targets together.
        """
        self.candidates.silence(gone)
        first = self.references[0].seen
        total = torch.zeros(len(first), device=first.device)
        counts = torch.zeros_like(total)
        for reference in self.references:
            maps = self._maps(reference.images)
            each = feature_attention_loss(
                reference.maps, maps, reference.masks, weights=reference.weights
            )
            total = total + (each * reference.seen).sum(dim=1)
            counts = counts + reference.seen.sum(dim=1)
        return (total / counts).cpu()

    def loss(self, gone: Silent) -> float:
        """L_FA with ``gone`` silenced: of all targets, or of the class that suffers most."""
        losses = self.losses(gone)
        return float(losses[~losses.isnan()].max())

    def _maps(self, images: Tensor) -> list[Tensor]:
        with caught(self.candidates.model, self.levels) as outputs:
            self.candidates.model(images)
            return [attention_map(outputs[level]) for level in self.levels]

    def _reference(self, images: Tensor, targets: Any) -> _Reference:
        with torch.no_grad():
            maps = self._maps(images)
        grids = [(int(m.shape[1]), int(m.shape[2])) for m in maps]
        coarsest = self.candidates.model.get_submodule(self.levels[-1])
        masks, seen = target_masks(
            self.task, self.candidates.model, coarsest, (images, targets), grids
        )
        weights = protecting_weights(self.task, (images, targets), grids, self.protect)
        if self.protect == 'none':
            masks = [mask.amax(dim=0, keepdim=True) for mask in masks]
            seen = torch.ones(1, len(images), dtype=torch.bool, device=images.device)
        return _Reference(images, maps, masks, seen, weights)
