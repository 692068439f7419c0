# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse training that must keep looking where the dense network looked: L + ... + eta L_FA."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import Tensor, nn

from uav_prune_perception.methods.interfaces import LevelContext

from .attention import attention_map, feature_attention_loss
from .feature_levels import caught, find_levels
from .sparsity import SparsityHook, SparsityOptions
from .target_masks import Protect, protecting_weights, target_masks


class AttentionHook(SparsityHook):
    """The sparsity hook, plus eta L_FA between the dense network and the one that learns.

    Args:
        context: of sparse training; ``context.model`` learns, ``context.dense`` is compared with.
        options: of the penalty.
        weight: eta.
        protect: 'none': all targets count alike; otherwise every class that is in the batch
            counts the same, however rare (`attention_probe.AttentionProbe`). That is ours.
    """

    def __init__(
        self,
        context: LevelContext,
        options: SparsityOptions,
        weight: float,
        protect: Protect = 'none',
    ) -> None:
        super().__init__(context.model, options)
        assert context.dense is not None, 'sparse training starts from a dense network'
        self.weight, self.task, self.protect = weight, context.task, protect
        self.dense = copy.deepcopy(context.dense).eval().requires_grad_(False)
        self.levels = find_levels(self.dense, context.graph, context.task.example_input())
        self._scope = contextlib.ExitStack()
        self._seen: dict[str, Tensor] = {}
        self._wanted: list[Tensor] = []
        self._masks: list[Tensor] = []
        self._weights: list[Tensor] | None = None
        self._seen_where: Tensor | None = None

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        """Where the dense network looks in this batch; then watch the one that learns."""
        self.dense.to(images.device)
        with torch.no_grad(), caught(self.dense, self.levels) as outputs:
            self.dense(images)
            self._wanted = [attention_map(outputs[level]) for level in self.levels]
        grids = [(int(m.shape[1]), int(m.shape[2])) for m in self._wanted]
        coarsest = self.dense.get_submodule(self.levels[-1])
        batch = (images, targets)
        masks, seen = target_masks(self.task, self.dense, coarsest, batch, grids)
        if self.protect == 'none':
            self._masks = [mask.amax(dim=0) for mask in masks]
        else:
            self._masks, self._seen_where = masks, seen
            self._weights = protecting_weights(self.task, batch, grids, self.protect)
        self._seen = self._scope.enter_context(caught(model, self.levels))

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Eta times the mean L_FA of the batch."""
        maps = [attention_map(self._seen[level]) for level in self.levels]
        self._scope.close()  # the model that is trained must not keep hooks
        loss = feature_attention_loss(self._wanted, maps, self._masks, weights=self._weights)
        if self._seen_where is None:
            return self.weight * loss.mean()
        here = self._seen_where.any(dim=1)
        if not bool(here.any()):
            return None
        each = (loss * self._seen_where)[here].sum(dim=1) / self._seen_where[here].sum(dim=1)
        return self.weight * each.mean()
