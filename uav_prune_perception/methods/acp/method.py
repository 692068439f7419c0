# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ACP as a composition of slots."""

from __future__ import annotations

from dataclasses import dataclass

from uav_prune_perception.methods.interfaces import LevelContext, Method, Scores
from uav_prune_perception.methods.search_interfaces import Fitness
from uav_prune_perception.methods.surgeon.score import EliminationScore

from .agreement import Agreement
from .options import AcpOptions
from .run import AcpRun


@dataclass(frozen=True)
class AcpSearch:
    """`PopulationSearch`."""

    options: AcpOptions

    def begin(self, context: LevelContext, scores: Scores | None) -> AcpRun:
        """Cluster, and place the particles."""
        return AcpRun(self.options, context, scores)

    def fitness(self, context: LevelContext) -> Fitness | None:
        """Accuracy, as the paper has it, or agreement."""
        if self.options.budgeted and self.options.fitness == 'agreement':
            return Agreement.with_(context.model, context.task, self.options.pictures)
        return None

    def size(self) -> int:
        """Particles of all generations, the first included."""
        return self.options.particles * (1 + self.options.cycles)


def acp(options: AcpOptions) -> Method:
    """The method of a recipe."""
    return Method(
        score=EliminationScore() if options.rule == 'score' else None,
        population=AcpSearch(options),
        recovery='finetune' if options.budgeted else 'retrain',
        meets_budget=options.budgeted,
    )
