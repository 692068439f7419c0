# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Each layer's pruning rate from the distribution of its own scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from uav_prune_perception.methods.allocation import GlobalThreshold
from uav_prune_perception.methods.interfaces import (
    Budget,
    Keep,
    LevelContext,
    MethodError,
    Scores,
)

from .attention_scores import per_mean

Rate = Literal['redundancy', 'spread', 'concentration', 'uniform']
TOLERANCE = 0.005  # of the budget


@dataclass(frozen=True)
class AdaptiveRates:
    """`RatioAllocator`: one number kappa for the whole network, bisected until the budget is met.

    Attributes:
        rate: how a layer's rate follows from kappa.

            - redundancy: p_l = share of channels with s < 1 - kappa std(s);
            - spread: p_l = share of channels with s < 1 - kappa, so that a layer whose channels
              differ much loses more (ours);
            - concentration: p_l = kappa h_l, with h_l = 1 - entropy(s / sum s) / log C;
            - uniform: p_l = kappa, the control arm.
    """

    rate: Rate = 'redundancy'

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`; caps are the recipe's max_cut and min_channels.

        Within 0.5 %; where whole channels are too coarse for that, within the 1 % of every method.
        """
        order = {name: comparable(values, self.rate) for name, values in scores.items()}
        try:
            return GlobalThreshold(tolerance=TOLERANCE).allocate(order, budget, context)
        except MethodError:
            return GlobalThreshold().allocate(order, budget, context)


def comparable(scores: Tensor, rate: Rate) -> Tensor:
    """Numbers in the order of ``scores``, cut in the order of kappa over the whole network.

    Whatever the rule is, a channel goes when kappa passes a number of its own. Seen that way
    every rule is one threshold for all layers: minus that number for redundancy and spread, which
    fall with kappa, and the number itself for the others.

    Args:
        scores: of one group, not negative.
        rate: see `AdaptiveRates`.
    """
    values = per_mean(scores)
    if rate == 'spread':
        return values - 1.0
    if rate == 'redundancy':
        spread = float(values.std(correction=0))
        return (values - 1.0) / spread if spread > 0 else torch.zeros_like(values)
    place = torch.empty_like(values)
    place[torch.argsort(values, stable=True)] = torch.arange(
        1, len(values) + 1, dtype=values.dtype
    )
    share = place / len(values)
    return share if rate == 'uniform' else share / max(concentration(values), 1e-9)


def concentration(scores: Tensor) -> float:
    """1 - entropy(s / sum s) / log C: 0 if all channels are alike, 1 if one has everything."""
    if len(scores) < 2:
        return 0.0
    part = scores / scores.sum().clamp_min(1e-30)
    entropy = -float((part * part.clamp_min(1e-30).log()).sum())
    return max(0.0, 1.0 - entropy / math.log(len(scores)))
