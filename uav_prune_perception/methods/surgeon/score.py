# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Order of elimination as an importance score."""

from __future__ import annotations

import torch

from uav_prune_perception.methods.interfaces import LevelContext, Scores

from .elimination import elimination_scores
from .readings import collect_readings
from .takeover import calibration


class EliminationScore:
    """`ImportanceScore`: the relative error of the readers' outputs at which a channel goes.

    Comparable between groups as it is. A group whose readers cannot be looked at (depthwise
    or transposed convolutions only) scores by nothing: all its channels are equal, at the mean of
    the others.
    """

    def score(self, context: LevelContext) -> Scores:
        """Float64 [width] of every group."""
        batches = calibration(context.task)
        readings = collect_readings(context.model, context.graph, batches)
        scores = {
            group.name: elimination_scores(readings[group.name], group.width)
            for group in context.graph.groups if readings[group.name]
        }
        seen = torch.cat(list(scores.values())) if scores else torch.ones(1)
        middle = float(seen.mean())
        for group in context.graph.groups:
            scores.setdefault(group.name, torch.full((group.width,), middle, dtype=torch.float64))
        return scores
