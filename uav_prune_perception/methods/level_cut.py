# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The cut of one level: which channels go, in the method's way, and the network without them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from uav_prune_perception.channels import ChannelGraph, PruningPlan, compact
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm

from .allocation import TOLERANCE as BUDGET_TOLERANCE
from .allocation import Uniform
from .cutting import AUTO_STEPS, Cut, Limits, checked_scores, cut_to, traced
from .expansion import expanded
from .interfaces import (
    Budget,
    Keep,
    LevelContext,
    Method,
    MethodError,
    RatioAllocator,
    Scores,
)
from .l1 import L1Magnitude
from .latency import LatencyMeter, LatencyRatio, search_latency
from .plan_chain import chained
from .population_phase import fittest
from .recipe import FinetuneSection, FitSection, LevelSection, Recipe
from .search_phase import searched
from .stages import NOTHING_CUT, BuiltLevel, Stages, Training
from .surgeon.refit import refit, refit_pictures

Choose = Callable[[Budget], Keep]


@dataclass(frozen=True)
class Chosen:
    """What a level is cut from: the network, how its channels are chosen, what was cut before."""

    context: LevelContext
    model: nn.Module
    choose: Choose
    before: PruningPlan


class LevelCutter:
    """Chooses and removes the channels of levels.

    Args:
        stages: of the job.
        method: checked.
        limits: what may be cut.
        dense: the trained dense network; None if the method needs none.
    """

    def __init__(
        self, stages: Stages, method: Method, limits: Limits, dense: BuiltLevel | None
    ) -> None:
        self.stages, self.method, self.limits, self.dense = stages, method, limits, dense
        self._meter: LatencyMeter | None = None

    def choose(
        self, section: LevelSection, above: BuiltLevel | None, stage: tuple[str, str]
    ) -> Chosen:
        """What will be cut from what, as far as it takes learning."""
        stages = self.stages
        source, before, gone = self._source(above)
        # Tracing takes longer than cutting: what has the dense shape has the dense channels.
        graph = (
            traced(source, stages.recipe, stages.task) if before.cuts else self.limits.dense_graph
        )
        context = self._context(section, source, graph, stage)
        with self._naming(section):
            if section.kind == 'latency' and (self.method.in_training or self.method.searches):
                budget = self._likely_budget(section, context)
                context = dataclasses.replace(context, budget=budget)
            model, choose = self._choice(section, context, gone, stage)
        return Chosen(context, model, choose, before)

    def cut(
        self, section: LevelSection, chosen: Chosen
    ) -> tuple[nn.Module, PruningPlan, dict[str, Any]]:
        """The network without those channels, all that was cut of it, and its costs.

        Raises:
            MethodError: the level cannot be met.
        """
        stages = self.stages
        stages.reporter.phase(f'{section.name}: removing channels', 1)
        step = self.limits.steps(section)[0]
        if stages.recipe.prune.round_to == 'auto' and step < AUTO_STEPS[0]:
            stages.reporter.note(
                f'{section.name}: widths in multiples of {step}: by {AUTO_STEPS[0]}, which '
                'engines like, this level cannot be met'
            )
        with self._naming(section):
            cut, ratio = self._made(section, chosen.context, chosen.model, chosen.choose)
        self._tell(section, cut, ratio)
        if stages.recipe.prune.reconstruct:
            # After the proof, which is of a cut and not of new weights
            refit(cut.model, chosen.model, cut.plan, refit_pictures(stages.task))
        batches = stages.task.calibration_batches(stages.recipe.prune.recalibrate_batches)
        recalibrate_batchnorm(cut.model, batches)
        plan = chained(chosen.before, cut.plan)
        facts = {'macs': round(cut.cost.macs), 'latency': ratio.value if ratio else None}
        return cut.model, plan, facts

    @contextlib.contextmanager
    def _naming(self, section: LevelSection) -> Iterator[None]:
        """A fault of the method is said with the recipe's line and the level."""
        try:
            yield
        except MethodError as fault:
            recipe = self.stages.recipe
            index = recipe.prune.levels.index(section)
            place = recipe.place(('prune', 'levels', index, section.kind))
            raise MethodError(f'{place}: level {section.name}: {fault}') from None

    def _source(
        self, above: BuiltLevel | None
    ) -> tuple[nn.Module, PruningPlan, PruningPlan]:
        """What is cut, the plan that led to it, and what is gone from its channels."""
        if above is None:
            return self.stages.fresh_network(), NOTHING_CUT, NOTHING_CUT
        plan = above.plan
        if plan.placements:
            return expanded(above.model, plan, self.stages.fresh_network()), NOTHING_CUT, plan
        return above.model, plan, NOTHING_CUT

    def _context(
        self, section: LevelSection, model: nn.Module, graph: ChannelGraph, stage: tuple[str, str]
    ) -> LevelContext:
        stages, order = self.stages, order_of(self.stages.recipe, section)
        return LevelContext(
            model=model, graph=graph, task=stages.task,
            bounds=self.limits.bounds(graph, self.limits.steps(section)[0]),
            budget=self.limits.budget(graph, section), level=section.name,
            seed=stages.seed(order), reporter=stages.reporter,
            dense=self.dense.model if self.dense else None,
            dense_cost=self.limits.dense_cost, folder=stages.run.scratch(*stage),
            device=stages.recipe.train.device,
        )

    def _choice(
        self, section: LevelSection, context: LevelContext, gone: PruningPlan,
        stage: tuple[str, str],
    ) -> tuple[nn.Module, Choose]:
        """The network whose channels are removed, and how they are chosen for a budget."""
        method, stages = self.method, self.stages
        if method.in_training is not None:
            model = copy.deepcopy(context.model)
            settings: FitSection = stages.recipe.soft or stages.recipe.train
            masks = method.in_training.begin(dataclasses.replace(context, model=model))
            title = f'{section.name}: training with masks'
            taught_by = teacher_of(self.dense, settings)
            stages.train(
                model, Training(title, stage, settings, order_of(stages.recipe, section)),
                teacher=taught_by.model if taught_by else None, hooks=[masks],
            )
            return model.eval(), masks.keep
        scores: Scores | None = None
        if method.score is not None:
            stages.reporter.phase(f'{section.name}: choosing channels', 1)
            scores = checked_scores(
                method.score.score(context), context.graph, stages.recipe.prune.method,
                residual=method.residual, gone=gone,
            )
        if method.population is not None:
            model, keep = fittest(stages, method.population, scores, context)
            return model, lambda budget: keep
        if method.search is not None:
            run = method.search.begin(context, scores)
            model, keep = searched(stages, method.search, run, context, stage)
            return model, lambda budget: keep
        assert scores is not None
        assert method.allocator is not None
        return context.model, self._allocating(method.allocator, section, scores, context)

    def _allocating(
        self, allocator: RatioAllocator, section: LevelSection, scores: Scores,
        context: LevelContext,
    ) -> Choose:
        """Widths in the coarsest steps in which the allocator meets a budget."""
        *coarse, finest = (
            dataclasses.replace(context, bounds=self.limits.bounds(context.graph, step))
            for step in self.limits.steps(section)
        )

        def choose(budget: Budget) -> Keep:
            for stepped in coarse:
                with contextlib.suppress(MethodError):
                    return allocator.allocate(scores, budget, stepped)
            return allocator.allocate(scores, budget, finest)

        return choose

    def _made(
        self, section: LevelSection, context: LevelContext, model: nn.Module, choose: Choose
    ) -> tuple[Cut, LatencyRatio | None]:
        """The cut that meets the level's budget.

        Raises:
            MethodError: it cannot.
        """
        graph = context.graph
        if section.kind != 'latency':
            keep = choose(context.asked)
            if self.method.meets_budget and context.asked.miss(keep) > BUDGET_TOLERANCE:
                raise MethodError(
                    f'method {self.stages.recipe.prune.method} chose '
                    f'{context.asked.text(context.asked.cost(keep))} where '
                    f'{context.asked.text(context.asked.target)} were asked'
                )
            return cut_to(graph, model, keep, section.name), None
        if self.method.searches:
            cut = cut_to(graph, model, choose(context.asked), section.name)
            return cut, self._latency_meter().ratio(cut.model)
        share, ratio = self._latency(section, context, model, choose)
        keep = choose(self.limits.budget_of(graph, 'macs', share))
        return cut_to(graph, model, keep, section.name), ratio

    # -- measured latency -------------------------------------------------------------------

    def _latency(
        self, section: LevelSection, context: LevelContext, model: nn.Module, choose: Choose
    ) -> tuple[float, LatencyRatio]:
        graph = context.graph

        def build(share: float) -> nn.Module:
            keep = choose(self.limits.budget_of(graph, 'macs', share))
            return compact(model, graph.plan(keep)).eval()

        def tell(share: float, ratio: LatencyRatio) -> None:
            self.stages.reporter.note(f'{section.name}: {share:.1%} of the MACs have {ratio}')

        return search_latency(build, self._latency_meter(), section.share, tell)

    def _latency_meter(self) -> LatencyMeter:
        if self._meter is None:
            stages = self.stages
            self._meter = LatencyMeter(
                stages.fresh_network(), stages.task.example_input(),
                threads=stages.recipe.export.threads, runs=stages.recipe.export.profile_runs,
            )
        return self._meter

    def _likely_budget(self, section: LevelSection, context: LevelContext) -> Budget:
        """MACs that have the asked latency if every group is cut alike: what is known before."""
        scores = L1Magnitude().score(context)
        choose = self._allocating(Uniform(), section, scores, context)
        share = self.stages.run.ranks.decide(
            lambda: self._latency(section, context, context.model, choose)[0]
        )
        return self.limits.budget_of(context.graph, 'macs', share)

    def _tell(self, section: LevelSection, cut: Cut, ratio: LatencyRatio | None) -> None:
        dense = self.limits.dense_cost
        what = 'parameters' if section.kind == 'kept_params' else 'MACs'
        has, had = (
            (cut.cost.params, dense.params) if section.kind == 'kept_params'
            else (cut.cost.macs, dense.macs)
        )
        latency = f'; {ratio}' if ratio else ''
        if ratio is not None and not ratio.meets(section.share):
            self.stages.reporter.warn(
                f'{section.name}: {ratio} where {section.share:.1%} was asked: nearer it could '
                'not be measured on this machine'
            )
        asked = f'asked {section.share:.1%}' + (' of its latency' if ratio else '')
        self.stages.reporter.note(
            f'{section.name}: {has / 1e6:.2f} M of {had / 1e6:.2f} M {what} stay '
            f'({has / had:.1%}, {asked}{latency}); compact equals masked within {cut.error:.0e}'
        )


def order_of(recipe: Recipe, section: LevelSection) -> int:
    """Number of a level's training runs in the job, for their seed; the dense network's is 0."""
    return 1 + recipe.prune.levels.index(section)


def teacher_of(dense: BuiltLevel | None, section: FitSection | None) -> BuiltLevel | None:
    """What teaches in a phase: the dense network, where the recipe asks for it."""
    return dense if isinstance(section, FinetuneSection) and section.distil else None
