# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What sparse training has left: |gamma| of every channel, for each producer apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from uav_prune_perception.channels.exported import named_tensors
from uav_prune_perception.methods.feature_maps import find_norms
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.l1 import layer_norms

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph

ProducerScores = dict[str, dict[str, Tensor]]


def scale_scores(model: nn.Module, graph: ChannelGraph) -> ProducerScores:
    """|gamma| behind every producer of every group; larger = keep.

    Producers without a BatchNorm right behind them (the classifier's hidden layers, some heads)
    are scored by the L1 norm of their filters, scaled so that its mean is the mean |gamma| of
    the network: in one threshold over all layers they count like an average layer.

    Returns:
        Group -> producer's module path -> float64 [width].

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
    found: ProducerScores = {}
    for group in graph.groups:
        found[group.name] = {}
        for slot in group.producers:
            values = scales.get(slot.parameter)
            if values is None:
                values = layer_norms(tensors[slot.parameter], slot.dim) * usual
            found[group.name][slot.module] = values[group.members[slot]].mean(dim=1)
    return found


def coupled(scores: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """One score for each choice of a group: the mean over its producers."""
    return {
        name: torch.stack(list(producers.values())).mean(dim=0)
        for name, producers in scores.items()
    }
