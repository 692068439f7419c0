# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the phases of a job share: fresh networks, training runs, and finished networks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uav_prune_perception import __version__
from uav_prune_perception.channels import ChannelError, PruningPlan, load_pruned
from uav_prune_perception.channels.plan import PLAN_FILE, WEIGHTS_FILE
from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.ladder.reader import sha256_of
from uav_prune_perception.networks.imported import own_sources
from uav_prune_perception.networks.registry import NetworkError, build_network
from uav_prune_perception.training.fit import FREE_SETTINGS, FitHook, fit
from uav_prune_perception.training.fit_options import FitOptions, FitProgress
from uav_prune_perception.training.task import LearningTask
from uav_prune_perception.training.task_factory import DETECTING, LEARNING

from .interfaces import Reporter
from .recipe import FitSection, Recipe
from .recipe_source import RecipeError
from .run_folder import RunFolder, RunFolderError, fingerprint

NOTHING_CUT = PruningPlan(())


@dataclass(frozen=True)
class BuiltLevel:
    """A finished network: a level, or what levels are cut from.

    Attributes:
        name: of the level.
        key: fingerprint of all that decided it.
        model: the network, in evaluation mode.
        macs: multiply-accumulates of one picture.
        kept_macs: share of the dense network's.
        params: trainable parameters.
        val: accuracy on the validation split.
        files: plan and weights, by their names in a ladder.
        latency: measured share of the dense network's, where the level asked for one.
    """

    name: str
    key: str
    model: nn.Module
    macs: int
    kept_macs: float
    params: int
    val: Accuracy
    files: dict[str, Path]
    latency: float | None = None

    @property
    def plan(self) -> PruningPlan:
        """What was cut, relative to the dense network."""
        return PruningPlan.load(self.files[PLAN_FILE])


@dataclass(frozen=True)
class Training:
    """One training run.

    Attributes:
        title: for the progress bar.
        stage: name and key of the stage that it belongs to; decides the checkpoint's name.
        section: settings.
        order: number of the run in the job, for its seed.
    """

    title: str
    stage: tuple[str, str]
    section: FitSection
    order: int


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
    network['options'] = {key: _content(value) for key, value in network['options'].items()}
    return fingerprint(
        __version__, task.data_sha256, dataclasses.asdict(task.input),
        {key: recipe.data.get(key) for key in {*LEARNING, *DETECTING}}, network,
        weights_sha256, deciding(recipe.train), recipe.seed,
    )


def _content(value: Any) -> Any:
    """Of an option that names a file, such as a trained network, what is in it."""
    if isinstance(value, str):
        with contextlib.suppress(OSError, ValueError):
            path = Path(value).expanduser()
            return sha256_of(path) if path.is_file() else value
    return value


def deciding(section: FitSection | None) -> dict[str, Any] | None:
    """The settings of a training phase that decide what is learnt."""
    if section is None:
        return None
    return section.model_dump(mode='json', exclude={*FREE_SETTINGS, 'workers'})


class Stages:
    """Makes networks of a recipe, trains them, and keeps what is finished in the run folder."""

    def __init__(
        self, recipe: Recipe, task: LearningTask, run: RunFolder, reporter: Reporter
    ) -> None:
        self.recipe, self.task, self.run, self.reporter = recipe, task, run, reporter
        self._sources: dict[str, str] | None = None
        self._told_sources = False

    def fresh_network(self) -> nn.Module:
        """The dense network with its initial weights, always the same for the same seed."""
        section, task = self.recipe.network, self.task
        torch.manual_seed(self.recipe.seed)
        for word in ('classes', 'channels'):
            if word in section.options:
                place = self.recipe.place(('network', 'options', word))
                raise RecipeError(
                    f'{place}: network.options.{word}: is told by the data; leave it out'
                )
        try:
            made = build_network(
                section.name, classes=len(task.classes), channels=task.input.channels,
                **section.options,
            ).eval()
        except NetworkError as error:
            raise RecipeError(f'{self.recipe.place(("network",))}: network: {error}') from None
        if self._sources is None:  # as imported; whoever edits them during the job changes nothing
            self._sources = own_sources(section.name)
        return made

    def seed(self, order: int) -> int:
        """Of the job's ``order``-th run."""
        return self.recipe.seed * 1000 + order

    def train(
        self,
        model: nn.Module,
        training: Training,
        *,
        teacher: nn.Module | None = None,
        hooks: Sequence[FitHook] = (),
        resumable: bool = True,
    ) -> None:
        """Train in place, from its checkpoint where there is one."""
        options = FitOptions(**training.section.options(), seed=self.seed(training.order))
        steps = options.epochs * self.task.steps_per_epoch(options.batch_size)
        self.reporter.phase(training.title, steps)
        if options.epochs == 0:
            return
        checkpoint = self.run.checkpoint(*training.stage) if resumable else None
        fit(
            model, self.task, options, progress=partial(_tell, self.reporter),
            checkpoint=checkpoint, teacher=teacher, hooks=hooks, ranks=self.run.ranks,
            on_epoch=partial(self.run.log.epoch, '-'.join(training.stage), training.title)
            if resumable else None,
        )
        model.to('cpu')
        if teacher is not None:
            teacher.to('cpu')

    def accuracy(self, model: nn.Module, device: str = 'cpu') -> Accuracy:
        """On the validation split."""
        try:
            model.to(self.run.ranks.device(device))
            return self.task.evaluate(self.run.ranks.predict(model), 'val', 16)
        finally:
            model.to('cpu')

    def finish(
        self,
        stage: tuple[str, str],
        model: nn.Module,
        plan: PruningPlan,
        *,
        macs: tuple[int, int],
        latency: float | None = None,
    ) -> BuiltLevel:
        """Judge a network and put it into the run folder.

        Args:
            stage: name and key.
            model: the network.
            plan: what was cut, relative to the dense network.
            macs: its own and the dense network's.
            latency: see `BuiltLevel`.
        """
        model.eval()
        accuracy = self.accuracy(model, self.recipe.train.device)

        def write(folder: Path) -> dict[str, Any]:
            plan.save(folder, model)
            return {
                'macs': macs[0], 'kept_macs': macs[0] / macs[1],
                'params': sum(parameter.numel() for parameter in model.parameters()),
                'val': {
                    'metric': accuracy.metric, 'value': accuracy.value, 'n': accuracy.n,
                    'per_class': accuracy.per_class,
                },
                'latency': latency, 'sources': self._sources,
            }

        folder = self.run.finish(*stage, write)
        self.run.forget(*stage)
        return self._built(folder, stage, model)

    def found(self, stage: tuple[str, str]) -> BuiltLevel | None:
        """What `finish` has put there, in this run or an earlier one."""
        folder = self.run.stage(*stage)
        if folder is None:
            return None
        changed = self._changed_sources(folder)
        try:
            built = self._built(folder, stage)
        except ChannelError:
            if not changed:
                raise
            raise RunFolderError(
                f'{folder}: made before {changed} changed, does not fit it; --fresh begins anew'
            ) from None
        if changed and not self._told_sources:
            self._told_sources = True
            self.reporter.warn(
                f'{changed} has changed since an earlier run made {stage[0]}, which is used '
                'again; --fresh begins anew'
            )
        return built

    def _changed_sources(self, folder: Path) -> str:
        """The user's own files by which a stage of an earlier run was made and that differ."""
        then, now = self.run.facts(folder).get('sources'), self._sources
        if then is None or now is None:  # of an older version
            return ''
        return ', '.join(
            sorted(file for file in {*then, *now} if then.get(file) != now.get(file))
        )

    def _built(
        self, folder: Path, stage: tuple[str, str], model: nn.Module | None = None
    ) -> BuiltLevel:
        facts, (name, key) = self.run.facts(folder), stage
        val = Accuracy(split='val', **facts['val'])
        earlier = '' if model is not None else ' (from an earlier run)'
        self.reporter.note(f'{name}: {val.metric} {val.value:.4f} on val (n = {val.n}){earlier}')
        return BuiltLevel(
            name, key, model or load_pruned(self.fresh_network, folder).eval(), facts['macs'],
            facts['kept_macs'], facts['params'], val,
            {file: folder / file for file in (PLAN_FILE, WEIGHTS_FILE)}, facts.get('latency'),
        )


def _tell(reporter: Reporter, state: FitProgress) -> None:
    reporter.step(
        state.epoch * state.steps + state.step,
        f'epoch {state.epoch + 1}/{state.epochs}  loss {state.loss:.4f}',
    )
