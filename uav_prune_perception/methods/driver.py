# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one driver of all methods: train or load, then cut, recover and judge, level by level."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uav_prune_perception import __version__
from uav_prune_perception.channels import ChannelGraph, PruningPlan, load_pruned
from uav_prune_perception.channels.plan import PLAN_FILE, WEIGHTS_FILE
from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.ladder.reader import sha256_of
from uav_prune_perception.networks.registry import NetworkError, build_network
from uav_prune_perception.networks.weights import WeightsError, load_weights
from uav_prune_perception.training.fit import FREE_SETTINGS, fit
from uav_prune_perception.training.fit_options import FitOptions, FitProgress
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask, torch_predict

from .cutting import Cutter, traced
from .interfaces import Reporter
from .plan_chain import chained
from .recipe import FitSection, LevelSection, Recipe
from .recipe_source import RecipeError
from .registry import make_method
from .run_folder import RunFolder, fingerprint

NOTHING_CUT = PruningPlan(())


@dataclass(frozen=True)
class BuiltLevel:
    """A finished level.

    Attributes:
        name: of the level.
        key: fingerprint of all that decided it.
        model: the compact network, in evaluation mode.
        macs: multiply-accumulates of one picture.
        kept_macs: share of the dense network's.
        params: trainable parameters.
        val: accuracy on the validation split.
        files: plan and weights, by their names in a ladder.
    """

    name: str
    key: str
    model: nn.Module
    macs: int
    kept_macs: float
    params: int
    val: Accuracy
    files: dict[str, Path]


def base_key(recipe: Recipe, task: LearningTask) -> str:
    """Fingerprint of what decides the dense network."""
    weights = recipe.network.weights
    try:
        weights_sha256 = sha256_of(weights.expanduser()) if weights is not None else None
    except OSError as error:
        place = recipe.place(('network', 'weights'))
        raise RecipeError(f'{place}: {weights}: cannot be read: {error.strerror}') from None
    # The data's place and the weights' place may change; their content may not.
    network = recipe.network.model_dump(mode='json', exclude={'weights'})
    return fingerprint(
        __version__, task.data_sha256, dataclasses.asdict(task.input),
        recipe.document()['data'].get('augmentation'), network, weights_sha256,
        deciding(recipe.train), recipe.seed,
    )


def deciding(section: FitSection) -> dict[str, Any]:
    """The settings of a training phase that decide what is learnt."""
    return section.model_dump(mode='json', exclude=set(FREE_SETTINGS))


class Driver:
    """Builds the levels of a recipe, or finds them built."""

    def __init__(
        self, recipe: Recipe, task: LearningTask, run: RunFolder, reporter: Reporter
    ) -> None:
        self.recipe, self.task, self.run, self.reporter = recipe, task, run, reporter
        method = make_method(recipe.prune.method, recipe.prune.allocation)
        self.cutter = Cutter(method, recipe, task)

    def build(self) -> list[BuiltLevel]:
        """All levels of the ladder, the heaviest first.

        Raises:
            MethodError, ChannelError, RecipeError: found before any training.
            TrainingError: a loss is not finite.
        """
        self._check_devices()
        fresh = self.fresh_network()
        self._check_fit(fresh)
        graph = self._trace(fresh)
        dense = self._dense(fresh, graph)
        levels, above, plan = [], dense, NOTHING_CUT
        for section in self.recipe.prune.levels:
            if section.kept_macs == 1.0:
                levels.append(_renamed(dense, section.name))
                continue
            if self.recipe.prune.start == 'dense':
                above, plan = dense, NOTHING_CUT
            above = self._level(section, dense, above, plan)
            plan = PruningPlan.load(above.files[PLAN_FILE])
            levels.append(above)
        return levels

    def fresh_network(self) -> nn.Module:
        """The dense network with its initial weights, always the same for the same seed."""
        section, task = self.recipe.network, self.task
        torch.manual_seed(self.recipe.seed)
        try:
            return build_network(
                section.name, classes=len(task.classes), channels=task.input.channels,
                **section.options,
            ).eval()
        except NetworkError as error:
            raise RecipeError(f'{self.recipe.place(("network",))}: network: {error}') from None

    def _check_devices(self) -> None:
        for phase in ('train', 'finetune'):
            device = getattr(self.recipe, phase).device
            try:
                torch.empty(0, device=device)
            except (RuntimeError, AssertionError) as error:
                reason = (str(error).splitlines() or ['no reason given'])[0][:120]
                place = self.recipe.place((phase, 'device'))
                raise RecipeError(
                    f'{place}: {phase}.device: "{device}" cannot be used here: {reason}'
                ) from None

    def _check_fit(self, model: nn.Module) -> None:
        example, classes = self.task.example_input(), len(self.task.classes)
        detection = self.task.kind == 'detection'
        try:
            with torch.no_grad():
                output = model(example)
            found = tuple(output.shape)
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            found, reason = (), f' ({" ".join(str(error).split())[:160]})'
        else:
            reason = ''
        rank, rows = (3, 4 + classes) if detection else (2, classes)
        if len(found) == rank and found[1] == rows:
            return
        wanted = f'[1, {rows}, candidates]' if detection else f'[1, {rows}]'
        raise RecipeError(
            f'{self.recipe.place(("network",))}: network {self.recipe.network.name} does not fit '
            f'the {self.task.kind} data: for pictures {list(example.shape)} it gives '
            f'{list(found) if found else "an error"}{reason}, wanted {wanted}'
        )

    def _trace(self, model: nn.Module) -> ChannelGraph:
        self.reporter.phase('finding the channels that live and die together', 1)
        graph = traced(model, self.recipe, self.task)
        free, total = graph.channels
        cost = graph.cost()
        self.reporter.note(
            f'network: {self.recipe.network.name}, {cost}; {free} of {total} channels can be cut'
        )
        self.cutter.remember(graph)
        return graph

    def _dense(self, model: nn.Module, graph: ChannelGraph) -> BuiltLevel:
        recipe, key = self.recipe, base_key(self.recipe, self.task)
        found = self.run.stage('dense', key)
        if found is not None:
            return self._found(found, 'dense', key)
        weights = recipe.network.weights
        if weights is not None:
            try:
                load_weights(model, weights, strict=recipe.train.epochs == 0)
            except WeightsError as error:
                place = recipe.place(('network', 'weights'))
                raise RecipeError(f'{place}: {error}') from None
        self._fit(model, 'dense', key, recipe.train, order=0)
        macs = round(graph.cost().macs)
        return self._finish('dense', key, model, NOTHING_CUT, macs=(macs, macs))

    def _level(
        self, section: LevelSection, dense: BuiltLevel, above: BuiltLevel, plan: PruningPlan
    ) -> BuiltLevel:
        recipe = self.recipe
        settings = recipe.prune.model_dump(mode='json', exclude={'levels', 'start'})
        key = fingerprint(
            above.key, dense.key, section.kept_macs, settings, deciding(recipe.finetune)
        )
        name = section.name
        found = self.run.stage(name, key)
        if found is not None:
            return self._found(found, name, key)
        self.reporter.phase(f'{name}: choosing and removing channels', 1)
        cut = self.cutter.cut(above.model, section, dense.macs)
        self.reporter.note(
            f'{name}: {cut.macs / 1e6:.2f} M of {dense.macs / 1e6:.2f} M MACs stay '
            f'({cut.macs / dense.macs:.1%}, asked {section.kept_macs:.1%}); compact equals masked '
            f'within {cut.error:.0e}'
        )
        batches = self.task.calibration_batches(recipe.prune.recalibrate_batches)
        recalibrate_batchnorm(cut.model, batches)
        order = 1 + recipe.prune.levels.index(section)
        teacher = dense.model if recipe.finetune.distil else None
        self._fit(cut.model, name, key, recipe.finetune, order=order, teacher=teacher)
        whole = chained(plan, cut.plan)
        return self._finish(name, key, cut.model, whole, macs=(cut.macs, dense.macs))

    def _fit(
        self,
        model: nn.Module,
        name: str,
        key: str,
        section: FitSection,
        *,
        order: int,
        teacher: nn.Module | None = None,
    ) -> None:
        seed = self.recipe.seed * 1000 + order
        options = FitOptions(**section.model_dump(exclude={'distil'}), seed=seed)
        title = 'training the dense network' if order == 0 else f'{name}: fine-tuning'
        self.reporter.phase(title, options.epochs * self.task.steps_per_epoch(options.batch_size))
        if options.epochs == 0:
            return
        fit(
            model, self.task, options, progress=partial(_tell, self.reporter),
            checkpoint=self.run.checkpoint(name, key), teacher=teacher,
        )
        model.to('cpu')

    def _finish(
        self, name: str, key: str, model: nn.Module, plan: PruningPlan, *, macs: tuple[int, int]
    ) -> BuiltLevel:
        model.eval()
        accuracy = self.task.evaluate(torch_predict(model), 'val', 16)

        def write(folder: Path) -> dict[str, Any]:
            plan.save(folder, model)
            return {
                'macs': macs[0], 'kept_macs': macs[0] / macs[1],
                'params': sum(parameter.numel() for parameter in model.parameters()),
                'val': {'metric': accuracy.metric, 'value': accuracy.value, 'n': accuracy.n},
            }

        stage = self.run.finish(name, key, write)
        self.run.checkpoint(name, key).unlink(missing_ok=True)
        return self._found(stage, name, key, model)

    def _found(
        self, stage: Path, name: str, key: str, model: nn.Module | None = None
    ) -> BuiltLevel:
        facts = self.run.facts(stage)
        val = Accuracy(facts['val']['metric'], facts['val']['value'], 'val', facts['val']['n'])
        earlier = '' if model is not None else ' (from an earlier run)'
        self.reporter.note(f'{name}: {val.metric} {val.value:.4f} on val (n = {val.n}){earlier}')
        return BuiltLevel(
            name, key, model or load_pruned(self.fresh_network, stage).eval(), facts['macs'],
            facts['kept_macs'], facts['params'], val,
            {file: stage / file for file in (PLAN_FILE, WEIGHTS_FILE)},
        )


def _renamed(level: BuiltLevel, name: str) -> BuiltLevel:
    return dataclasses.replace(level, name=name)


def _tell(reporter: Reporter, state: FitProgress) -> None:
    reporter.step(
        state.epoch * state.steps + state.step,
        f'epoch {state.epoch + 1}/{state.epochs}  loss {state.loss:.4f}',
    )
