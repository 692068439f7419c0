# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One level: cut it, let it recover, judge it; or find it finished.

The cut is a stage of its own in the run folder, so that what took long (masks in training, a
search, measuring) is never done twice and an interrupted recovery goes on with the same network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uav_prune_perception.channels import PruningPlan, compact, load_pruned
from uav_prune_perception.training.feature_distillation import FeatureDistillation
from uav_prune_perception.training.fit import FitHook

from .cutting import Limits
from .interfaces import Method
from .level_cut import LevelCutter, order_of, teacher_of
from .recipe import FitSection, LevelSection, RecoverySection
from .run_folder import fingerprint
from .stages import BuiltLevel, Stages, Training, deciding


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
        self.cutter = LevelCutter(stages, method, limits, dense)

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
        taught_by = teacher_of(self.dense, training.section)
        teacher = taught_by.model if taught_by else None
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
        taught_by = teacher_of(self.dense, settings)
        teacher = taught_by.key if taught_by else None
        key = fingerprint(cut_key, kind, deciding(settings), teacher)
        return Training(title, (name, key), settings, order_of(recipe, section))

    def _cut_stage(
        self, section: LevelSection, above: BuiltLevel | None, key: str
    ) -> tuple[nn.Module, PruningPlan, dict[str, Any]]:
        stages, stage = self.stages, (f'cut-{section.name}', key)
        folder = stages.run.stage(*stage)
        if folder is None:
            # Learning is the work of all processes, the rest that of the first.
            trains = self.method.in_training is not None or self.method.searches
            chosen = self.cutter.choose(section, above, stage) if trains else None

            def write(folder: Path) -> dict[str, Any]:
                model, plan, facts = self.cutter.cut(
                    section, chosen or self.cutter.choose(section, above, stage)
                )
                plan.save(folder, model)
                return facts

            folder = stages.run.finish(*stage, write)
            stages.run.forget(*stage)
        model = load_pruned(stages.fresh_network, folder).eval()
        return model, PruningPlan.load(folder), stages.run.facts(folder)


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
