# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chance: what every method has to beat at equal cost."""

from __future__ import annotations

import torch

from .interfaces import LevelContext, Scores


class RandomChoice:
    """`ImportanceScore`: uniform in 0..1, by the level's seed."""

    def score(self, context: LevelContext) -> Scores:
        """See `ImportanceScore`."""
        generator = torch.Generator().manual_seed(context.seed)
        return {
            group.name: torch.rand(group.width, generator=generator)
            for group in context.graph.groups
        }
