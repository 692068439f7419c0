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
from .target_masks import target_masks


class AttentionHook(SparsityHook):
    """The sparsity hook, plus eta L_FA between the dense network and the one that learns.

    Args:
        context: of sparse training; ``context.model`` learns, ``context.dense`` is compared with.
        options: of the penalty.
        weight: eta.
    """

    def __init__(self, context: LevelContext, options: SparsityOptions, weight: float) -> None:
        super().__init__(context.model, options)
        assert context.dense is not None, 'sparse training starts from a dense network'
        self.weight, self.task = weight, context.task
        self.dense = copy.deepcopy(context.dense).eval().requires_grad_(False)
        self.levels = find_levels(self.dense, context.graph, context.task.example_input())
        self._scope = contextlib.ExitStack()
        self._seen: dict[str, Tensor] = {}
        self._wanted: list[Tensor] = []
        self._masks: list[Tensor] = []

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        """Where the dense network looks in this batch; then watch the one that learns."""
        self.dense.to(images.device)
        with torch.no_grad(), caught(self.dense, self.levels) as outputs:
            self.dense(images)
            self._wanted = [attention_map(outputs[level]) for level in self.levels]
        grids = [(int(m.shape[1]), int(m.shape[2])) for m in self._wanted]
        coarsest = self.dense.get_submodule(self.levels[-1])
        masks, _ = target_masks(self.task, self.dense, coarsest, (images, targets), grids)
        self._masks = [mask.amax(dim=0) for mask in masks]
        self._seen = self._scope.enter_context(caught(model, self.levels))

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Eta times the mean L_FA of the batch."""
        maps = [attention_map(self._seen[level]) for level in self.levels]
        self._scope.close()  # the model that is trained must not keep hooks
        return self.weight * feature_attention_loss(self._wanted, maps, self._masks).mean()
