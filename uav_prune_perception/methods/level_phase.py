# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One level: choose its channels in the method's way, cut, recover, judge.

The cut is a stage of its own in the run folder, so that what took long (masks in training, a
search, measuring) is never done twice and an interrupted recovery goes on with the same network.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph, PruningPlan, compact, load_pruned
from uav_prune_perception.training.feature_distillation import FeatureDistillation
from uav_prune_perception.training.fit import FitHook
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
from .recipe import FinetuneSection, FitSection, LevelSection, RecoverySection
from .run_folder import fingerprint
from .search_phase import searched
from .stages import NOTHING_CUT, BuiltLevel, Stages, Training, deciding
from .surgeon.refit import refit, refit_pictures

Choose = Callable[[Budget], Keep]


@dataclass(frozen=True)
class _Chosen:
    """What a level is cut from: the network, how its channels are chosen, what was cut before."""

    context: LevelContext
    model: nn.Module
    choose: Choose
    before: PruningPlan


class LevelPhase:
    """Makes the levels below the dense network.

    Args:
        stages: of the job.
        method: checked.
        limits: what may be cut.
        dense: the trained dense network; None if the method needs none.
        base: fingerprint of data, network and training.
    """

    def __init__(
        self, stages: Stages, method: Method, limits: Limits, dense: BuiltLevel | None, base: str
    ) -> None:
        self.stages, self.method, self.limits = stages, method, limits
        self.dense, self.base = dense, base
        self._meter: LatencyMeter | None = None

    def build(self, section: LevelSection, above: BuiltLevel | None) -> BuiltLevel:
        """A level, or the same from an earlier run.

        Args:
            section: of the recipe.
            above: what it is cut from; None where the method starts from scratch.
        """
        recipe = self.stages.recipe
        settings = recipe.prune.model_dump(mode='json', exclude={'levels', 'start', 'recovery'})
        phases = [deciding(getattr(recipe, phase)) for phase in ('soft', 'search')]
        threads = recipe.export.threads if section.kind == 'latency' else None
        cut_key = fingerprint(
            self.base, above.key if above else None, section.kind, section.share, settings,
            phases, threads,
        )
        training = self._recovery(section, cut_key)
        teacher = self._teacher(training.section)
        stage = training.stage
        found = self.stages.found(stage)
        if found is not None:
            return found
        model, plan, facts = self._cut_stage(section, above, cut_key)
        if self.method.recovery == 'scratch':
            model = compact(self.stages.fresh_network(), plan)
        if self.method.recovery != 'none':
            with _lessons(model, teacher, plan, training.section) as hooks:
                self.stages.train(model, training, teacher=teacher, hooks=hooks)
        return self.stages.finish(
            stage, model, plan, macs=(facts['macs'], round(self.limits.dense_cost.macs)),
            latency=facts['latency'],
        )

    def _recovery(self, section: LevelSection, cut_key: str) -> Training:
        recipe, name, kind = self.stages.recipe, section.name, self.method.recovery
        settings: FitSection = recipe.train.model_copy(update={'epochs': 0})
        if kind == 'finetune':
            assert recipe.finetune is not None, 'checked with the method'
            settings = recipe.finetune
        elif kind != 'none':
            settings = recipe.retrain or recipe.train
        titles = {'finetune': 'fine-tuning', 'retrain': 'retraining', 'none': ''}
        title = f'{name}: {titles.get(kind, "training from scratch")}'
        teacher = self.dense.key if self.dense and _distils(settings) else None
        key = fingerprint(cut_key, kind, deciding(settings), teacher)
        return Training(title, (name, key), settings, self._order(section))

    def _teacher(self, section: FitSection | None) -> nn.Module | None:
        return self.dense.model if self.dense and _distils(section) else None

    def _order(self, section: LevelSection) -> int:
        return 1 + self.stages.recipe.prune.levels.index(section)

    # -- the cut ----------------------------------------------------------------------------

    def _cut_stage(
        self, section: LevelSection, above: BuiltLevel | None, key: str
    ) -> tuple[nn.Module, PruningPlan, dict[str, Any]]:
        stages, stage = self.stages, (f'cut-{section.name}', key)
        folder = stages.run.stage(*stage)
        if folder is None:
            # Learning is the work of all processes, the rest that of the first.
            trains = self.method.in_training is not None or self.method.searches
            chosen = self._chosen(section, above, stage) if trains else None

            def write(folder: Path) -> dict[str, Any]:
                model, plan, facts = self._cut(
                    section, chosen or self._chosen(section, above, stage)
                )
                plan.save(folder, model)
                return facts

            folder = stages.run.finish(*stage, write)
            stages.run.forget(*stage)
        model = load_pruned(stages.fresh_network, folder).eval()
        return model, PruningPlan.load(folder), stages.run.facts(folder)

    def _chosen(
        self, section: LevelSection, above: BuiltLevel | None, stage: tuple[str, str]
    ) -> _Chosen:
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
        return _Chosen(context, model, choose, before)

    def _cut(
        self, section: LevelSection, chosen: _Chosen
    ) -> tuple[nn.Module, PruningPlan, dict[str, Any]]:
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
        stages, order = self.stages, self._order(section)
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
            stages.train(
                model, Training(title, stage, settings, self._order(section)),
                teacher=self._teacher(settings), hooks=[masks],
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


@contextlib.contextmanager
def _lessons(
    model: nn.Module, teacher: nn.Module | None, plan: PruningPlan, section: FitSection
) -> Iterator[list[FitHook]]:
    """What a teacher adds to the training of a cut network beside its outputs."""
    if teacher is None or not isinstance(section, RecoverySection) or not section.feature_weight:
        yield []
        return
    kept = {cut.parameter: torch.tensor(cut.kept) for cut in plan.cuts if cut.dim == 0}
    with FeatureDistillation(model, teacher, kept, section.feature_weight) as hook:
        yield [hook]


def _distils(section: FitSection | None) -> bool:
    return isinstance(section, FinetuneSection) and section.distil
