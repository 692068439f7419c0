# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small filters matter little: the L1 norm of a channel's weights (Li et al., ICLR 2017).

Filters of one layer can be compared as they are; those of two layers cannot, for their sizes and
scales differ. So every layer's norms are divided by their mean, and layers whose channels are
coupled (by a residual connection, say) are averaged with equal say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .interfaces import LevelContext, Scores


class L1Magnitude:
    """`ImportanceScore`; needs no data."""

    def score(self, context: LevelContext) -> Scores:
        """Mean over the group's producers of norm / mean norm of the layer: about 1 each."""
        weights = dict(context.model.named_parameters(remove_duplicate=False))
        scores: dict[str, Tensor] = {}
        for group in context.graph.groups:
            layers = [
                layer_norms(weights[slot.parameter], slot.dim)[group.members[slot]].mean(dim=1)
                for slot in group.producers
            ]
            scores[group.name] = torch.stack(layers).mean(dim=0)
        return scores


def layer_norms(weight: Tensor, dim: int) -> Tensor:
    """L1 norm of each slice along ``dim`` over their mean: float64 [weight.shape[dim]]."""
    norms = weight.detach().to('cpu', torch.float64).movedim(dim, 0).flatten(1).abs().sum(dim=1)
    mean = float(norms.mean())
    return norms / mean if mean > 0 else torch.ones_like(norms)
