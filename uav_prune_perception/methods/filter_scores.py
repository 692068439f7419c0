# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores that look at each layer's filters by themselves, made comparable between layers.

Filters of one layer can be compared as they are; those of two layers cannot, for their sizes and
scales differ. So every layer's figures are divided by their mean, and layers whose channels are
coupled (by a residual connection, say) are averaged with equal say.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .interfaces import LevelContext, Scores

# Filters of a layer, float64 [n, weights of a filter] -> how much each matters, [n].
Measure = Callable[[Tensor], Tensor]


def score_by_filters(context: LevelContext, measure: Measure) -> Scores:
    """Mean over the group's producers of ``measure`` over its layer's mean: about 1 each."""
    weights = dict(context.model.named_parameters(remove_duplicate=False))
    scores: dict[str, Tensor] = {}
    for group in context.graph.groups:
        layers = [
            over_mean(measure(filters_of(weights[slot.parameter], slot.dim)))[
                group.members[slot]
            ].mean(dim=1)
            for slot in group.producers
        ]
        scores[group.name] = torch.stack(layers).mean(dim=0)
    return scores


def filters_of(weight: Tensor, dim: int) -> Tensor:
    """Float64 [weight.shape[dim], all the rest]."""
    return weight.detach().to('cpu', torch.float64).movedim(dim, 0).flatten(1)


def over_mean(values: Tensor) -> Tensor:
    """Values of mean 1; all 1 where they are all 0."""
    mean = float(values.mean())
    return values / mean if mean > 0 else torch.ones_like(values)
