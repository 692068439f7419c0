# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Filters near the geometric median can be replaced by the others (FPGM, He et al., CVPR 2019)."""

from __future__ import annotations

import torch

from .filter_scores import score_by_filters
from .interfaces import LevelContext, Scores


class GeometricMedian:
    """`ImportanceScore`: ``sum_j ||F_i - F_j||_2`` within the layer, small = redundant (eq. 9).

    The paper uses it in soft pruning; here it scores a trained network once. Needs no data.
    """

    def score(self, context: LevelContext) -> Scores:
        """See `ImportanceScore`."""
        return score_by_filters(context, lambda filters: torch.cdist(filters, filters).sum(dim=1))
