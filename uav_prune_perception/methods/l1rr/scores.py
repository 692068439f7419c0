# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What sparse training has left: |gamma| of every channel, for each producer apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from uav_prune_perception.channels.exported import named_tensors
from uav_prune_perception.methods.feature_maps import find_norms
from uav_prune_perception.methods.interfaces import MethodError, Scores
from uav_prune_perception.methods.l1 import layer_norms

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph

# Group -> producer's module path -> float64 [width]; '' stands for all its producers together.
ScaleScores = dict[str, dict[str, Tensor]]


def scale_scores(model: nn.Module, graph: ChannelGraph, *, apart: bool) -> ScaleScores:
    """|gamma| of every channel of every group; larger = keep.

    Producers without a BatchNorm right behind them (the classifier's hidden layers, some heads)
    are scored by the L1 norm of their filters, scaled so that its mean is the mean |gamma| of
    the network: in one threshold over all layers they count like an average layer.

    Args:
        model: after sparse training.
        graph: its channels.
        apart: producers of a sum are scored each for itself, where each can be cut for itself;
            otherwise a choice has the mean of its producers.

    Raises:
        MethodError: no producer has a BatchNorm.
    """
    tensors, norms = named_tensors(model), find_norms(graph)
    scales = {
        weight: tensors[names[0]].detach().to('cpu', torch.float64).abs()
        for weight, names in norms.items()
    }
    if not scales:
        raise MethodError(
            f'{type(model).__name__}: no channel that can be cut has a BatchNorm right behind it, '
            'whose scale L1RR and network slimming read; choose another prune.method, such as l1'
        )
    usual = float(torch.cat(list(scales.values())).mean())
    found: ScaleScores = {}
    for group in graph.groups:
        each: dict[str, Tensor] = {}
        for slot in group.producers:
            values = scales.get(slot.parameter)
            if values is None:
                values = layer_norms(tensors[slot.parameter], slot.dim) * usual
            each[slot.module] = values[group.members[slot]].mean(dim=1)
        own = {s.module: each[s.module] for s in group.producers if s.parameter in graph.branches}
        if apart and len(own) > 1:
            found[group.name] = own
        else:
            found[group.name] = {'': torch.stack(list(each.values())).mean(dim=0)}
    return found


def slot_scores(scores: ScaleScores) -> Scores:
    """As a method's slot gives them."""
    return {name: each.get('', each) for name, each in scores.items()}
