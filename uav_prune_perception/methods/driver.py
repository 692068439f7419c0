# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one driver of all methods: dense network, sparse training, then level by level."""

from __future__ import annotations

import dataclasses

from torch import nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.training.task import LearningTask

from .cutting import Limits, traced
from .dense_phase import check_devices, check_fit, dense_network
from .interfaces import LevelContext, Method, Reporter
from .level_phase import LevelPhase
from .recipe import FinetuneSection, Recipe
from .run_folder import RunFolder
from .sparse_phase import ORDER, sparse_network
from .stages import BuiltLevel, Stages, base_key


class Driver:
    """Builds the levels of a recipe, or finds them built.

    Args:
        recipe: the job.
        method: what `registry.make_method` gives for it.
        task: its data.
        run: where finished stages lie.
        reporter: is told how it goes.
    """

    def __init__(
        self,
        recipe: Recipe,
        method: Method,
        task: LearningTask,
        run: RunFolder,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.method = recipe, method
        self.stages = Stages(recipe, task, run, reporter)

    def build(self) -> list[BuiltLevel]:
        """All levels of the ladder, the heaviest first.

        Raises:
            MethodError, ChannelError, RecipeError: found before any training.
            TrainingError: a loss is not finite.
        """
        stages, method = self.stages, self.method
        check_devices(stages)
        fresh = stages.fresh_network()
        check_fit(stages, fresh)
        graph = self._trace(fresh)
        limits = Limits(self.recipe, graph)
        dense = dense_network(stages, fresh, graph) if self._needs_dense() else None
        start = dense
        if method.sparse is not None and dense is not None:
            context = self._shared_context(dense, graph, limits)
            start = sparse_network(stages, method.sparse, dense, context)
        base = base_key(self.recipe, stages.task)
        phase = LevelPhase(stages, method, limits, dense, base)
        levels: list[BuiltLevel] = []
        above = start
        for section in self.recipe.prune.levels:
            if section.share == 1.0:
                assert dense is not None
                levels.append(dataclasses.replace(dense, name=section.name))
                continue
            if self.recipe.prune.start == 'dense':
                above = start
            above = phase.build(section, above if method.needs_dense else None)
            levels.append(above)
        return self._heaviest_first(levels)

    def _heaviest_first(self, levels: list[BuiltLevel]) -> list[BuiltLevel]:
        """A share of the parameters or of the time may be more MACs than the level above has."""
        ordered = sorted(levels, key=lambda level: level.macs, reverse=True)
        if ordered != levels:
            names = ', '.join(level.name for level in ordered)
            self.stages.reporter.note(f'by their MACs the levels of the ladder are {names}')
        return ordered

    def _needs_dense(self) -> bool:
        """The dense network is a level, or what levels start or learn from."""
        recipe = self.recipe
        sections = (recipe.finetune, recipe.soft, recipe.retrain)
        return (
            self.method.needs_dense
            or any(level.share == 1.0 for level in recipe.prune.levels)
            or any(isinstance(part, FinetuneSection) and part.distil for part in sections)
        )

    def _trace(self, model: nn.Module) -> ChannelGraph:
        stages = self.stages
        stages.reporter.phase('finding the channels that live and die together', 1)
        graph = traced(model, self.recipe, stages.task)
        free, total = graph.channels
        stages.reporter.note(
            f'network: {self.recipe.network.name}, {graph.cost()}; {free} of {total} channels '
            'can be cut'
        )
        return graph

    def _shared_context(
        self, dense: BuiltLevel, graph: ChannelGraph, limits: Limits
    ) -> LevelContext:
        stages = self.stages
        return LevelContext(
            model=dense.model, graph=graph, task=stages.task, bounds=limits.bounds(graph),
            budget=None, level='sparse', seed=stages.seed(ORDER), reporter=stages.reporter,
            dense=dense.model, dense_cost=limits.dense_cost, device=self.recipe.train.device,
        )
