# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small filters matter little: the norm of a channel's weights (Li et al., ICLR 2017)."""

from __future__ import annotations

from torch import Tensor

from .filter_scores import filters_of, over_mean, score_by_filters
from .interfaces import LevelContext, Scores


class L1Magnitude:
    """`ImportanceScore`: sum of absolute weights; needs no data."""

    def score(self, context: LevelContext) -> Scores:
        """See `ImportanceScore`."""
        return score_by_filters(context, lambda filters: filters.abs().sum(dim=1))


class L2Magnitude:
    """`ImportanceScore`: root of the sum of squares (the filter score of SFP)."""

    def score(self, context: LevelContext) -> Scores:
        """See `ImportanceScore`."""
        return score_by_filters(context, lambda filters: filters.norm(dim=1))


def layer_norms(weight: Tensor, dim: int) -> Tensor:
    """L1 norm of each slice along ``dim`` over their mean: float64 [weight.shape[dim]]."""
    return over_mean(filters_of(weight, dim).abs().sum(dim=1))
