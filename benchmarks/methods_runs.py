# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the benchmark: prune by a contender's recipe, fine-tune, judge once."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from methods_rivals import TAYLOR_BATCHES, TorchPruner, macs_of
from methods_settings import Contender, Problem, Setting
from torch import Tensor, nn

from uav_prune_perception.datasets.classification_set import ClassificationSet
from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.methods.driver import Driver
from uav_prune_perception.methods.latency import LatencyMeter
from uav_prune_perception.methods.recipe import Recipe, check_recipe
from uav_prune_perception.methods.recipe_source import RecipeSource
from uav_prune_perception.methods.registry import make_method
from uav_prune_perception.methods.run_folder import RunFolder
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.fit import FitOptions, fit
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import Predict, torch_predict
from uav_prune_perception.training.task_factory import make_task

CALIBRATION = 10  # batches for BatchNorm after a cut, the same for everyone


class MeteredTask(ClassificationTask):
    """A task whose epochs are ``steps`` long, and which counts the labelled batches it gives.

    Every optimiser step takes one, and so does every gradient that a score is made of.
    """

    def __init__(self, data: ClassificationSet, steps: int | None, **learning: Any) -> None:
        super().__init__(data, **learning)
        self.steps, self.taken = steps, 0

    def steps_per_epoch(self, batch_size: int) -> int:
        """As set, or the whole data."""
        return self.steps or super().steps_per_epoch(batch_size)

    def train_batches(
        self, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Counts."""
        for batch in super().train_batches(epoch, batch_size, generator):
            self.taken += 1
            yield batch


    def evaluate(self, predict: Predict, split: str = 'val', batch_size: int = 1) -> Accuracy:
        """In large batches, whoever asks: it is the same figure sooner."""
        return super().evaluate(predict, split, max(250, batch_size))


class Stopwatch:
    """A `Reporter` that keeps the seconds of each phase by its title."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._title, self._since = '', time.monotonic()

    def phase(self, title: str, steps: int) -> None:
        """Ends the phase before."""
        now = time.monotonic()
        if self._title:
            self.seconds[self._title] = self.seconds.get(self._title, 0) + now - self._since
        self._title, self._since = title.rpartition(': ')[2], now

    def step(self, done: int, text: str = '') -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""


Stand = tuple[nn.Module, MeteredTask, Stopwatch]  # dense network, task, clock of a run


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; a killed one holds none."""
    with lock.open('w') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class Bench:
    """Everything of one problem that its runs share.

    Args:
        setting: how much is learnt.
        problem: data and network.
        data_root: where the data lies.
        work: folder for dense networks.
    """

    def __init__(self, setting: Setting, problem: Problem, data_root: Path, work: Path) -> None:
        self.setting, self.problem, self.work = setting, problem, work
        self.data = {**problem.data, 'root': str(data_root / problem.data['root'])}
        self.network = dict(problem.network)
        if 'weights' in self.network:
            self.network['weights'] = str(data_root / self.network['weights'])
        self._template = make_task(self.data)
        self._meter: LatencyMeter | None = None
        self._dense_networks: dict[int, nn.Module] = {}

    def task(self) -> MeteredTask:
        """A fresh count over the same pictures."""
        base = self._template
        assert isinstance(base, ClassificationTask)
        task = MeteredTask(
            base.data, self.setting.steps, augmentation=base.augmentation, mean=base.input.mean,
            std=base.input.std,
        )
        task._sha256 = base.data_sha256
        task.test_reads.limit = 1
        return task

    def recipe(self, contender: Contender, cut: float, seed: int) -> Recipe:
        """What ``uav-prune prune`` would be given for this run."""
        own = self.setting.fit()
        parts = dict(contender.parts)
        values: dict[str, Any] = {
            'name': 'benchmark', 'seed': seed, 'data': self.data, 'network': self.network,
            'train': {**own, 'epochs': self.problem.dense_epochs, 'lr': 0.1, 'warmup_epochs':
                      1.0 if self.problem.dense_epochs else 0.0},
            'prune': {
                'method': contender.method, 'options': contender.options,
                'levels': [{'kept_macs': 1 - cut}], 'from': 'dense', 'min_channels': 2,
                'max_cut': 0.9, 'recalibrate_batches': CALIBRATION,
            },
            'finetune': {
                **self.setting.fit(1 - sum(parts.values())), 'distil': contender.distil,
            },
        }
        if contender.allocation:
            values['prune']['allocation'] = contender.allocation
        for phase, part in parts.items():
            values[phase] = self.setting.fit(part)
        return check_recipe(RecipeSource(contender.name, values))

    def run(self, contender: Contender, cut: float, seed: int) -> dict[str, Any]:
        """The figures of one run.

        Raises:
            ValueError, RuntimeError: those of the package and of Torch-Pruning.
        """
        task = self.task()
        dense = self._dense(seed, task)
        task.taken, began, watch = 0, time.monotonic(), Stopwatch()
        make = self._rival if contender.origin == 'Torch-Pruning' else self._ours
        small = make(contender, cut, seed, (dense, task, watch))
        watch.phase('', 0)
        total = time.monotonic() - began
        trained = sum(
            seconds for title, seconds in watch.seconds.items()
            if 'training' in title or title == 'fine-tuning'
        )
        accuracy = task.evaluate(torch_predict(small.to(self.setting.device)), 'test')
        small.to('cpu')
        example = task.example_input()
        macs, full = macs_of(small, example), macs_of(dense, example)
        ratio = self.meter(dense).ratio(small)
        return {
            'top1': accuracy.value, 'n': accuracy.n, 'test_reads': task.test_reads.count,
            'macs': macs, 'macs_cut': 1 - macs / full,
            'params': sum(parameter.numel() for parameter in small.parameters()),
            'latency_ratio': round(ratio.value, 4), 'latency_error': round(ratio.error, 4),
            'prune_s': round(total - trained, 2), 'total_s': round(total, 2),
            'batches': task.taken,
            'phases_s': {title: round(value, 2) for title, value in watch.seconds.items()},
        }

    def dense(self, seed: int) -> dict[str, Any]:
        """The dense network itself, on test."""
        task = self.task()
        model = self._dense(seed, task)
        accuracy = task.evaluate(torch_predict(model.to(self.setting.device)), 'test')
        model.to('cpu')
        return {
            'top1': accuracy.value, 'n': accuracy.n, 'macs': macs_of(model, task.example_input()),
            'params': sum(parameter.numel() for parameter in model.parameters()),
        }

    def meter(self, dense: nn.Module) -> LatencyMeter:
        """Measures against the dense network: one thread, taking turns."""
        if self._meter is None:
            example = self._template.example_input()
            self._meter = LatencyMeter(dense, example, threads=1, runs=60)
        return self._meter

    def _ours(self, contender: Contender, cut: float, seed: int, stand: Stand) -> nn.Module:
        _, task, watch = stand
        recipe = self.recipe(contender, cut, seed)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            with RunFolder(folder) as run:
                for stage in self._dense_folder(seed).glob('dense-*'):
                    shutil.copytree(stage, Path(folder) / stage.name)
                levels = Driver(recipe, make_method(recipe), task, run, watch).build()
            return levels[0].model

    def _rival(self, contender: Contender, cut: float, seed: int, stand: Stand) -> nn.Module:
        dense, task, watch = stand
        setting, parts = self.setting, contender.parts
        pruner = TorchPruner(
            contender.method, dense, task.example_input(), self.problem.rigid
        )
        if 'sparse' in parts:
            watch.phase('sparse training', 1)
            options = FitOptions(**setting.fit(parts['sparse']), seed=seed * 1000 + 900)
            fit(pruner.model, task, options, hooks=[pruner.hook()])
            pruner.model.to('cpu')
        watch.phase('choosing channels', 1)
        if contender.method == 'taylor':
            generator = torch.Generator().manual_seed(seed)
            batches = task.train_batches(0, setting.batch_size, generator)
            pruner.gradients(itertools.islice(batches, TAYLOR_BATCHES))
        small = pruner.cut(1 - cut)
        recalibrate_batchnorm(small, task.calibration_batches(CALIBRATION))
        watch.phase('fine-tuning', 1)
        options = FitOptions(**setting.fit(1 - sum(parts.values())), seed=seed * 1000 + 1)
        fit(small, task, options, teacher=dense if contender.distil else None)
        dense.to('cpu')
        return small.to('cpu').eval()

    def _dense_folder(self, seed: int) -> Path:
        return self.work / f'{self.problem.name}-{seed}'.replace(' ', '_')

    def _dense(self, seed: int, task: MeteredTask) -> nn.Module:
        """The trained dense network; trained here once where no weights are published."""
        if seed in self._dense_networks:
            return self._dense_networks[seed]
        recipe = self.recipe(Contender('dense', 'ours', 'l1'), 0.5, seed)
        recipe = recipe.model_copy(update={'prune': recipe.prune.model_copy(update={
            'levels': (recipe.prune.levels[0].model_copy(update={'kept_macs': 1.0}),)})})
        steps, task.steps = task.steps, None  # the dense network learns from all of the data
        folder = self._dense_folder(seed)
        try:
            with alone(folder.with_suffix('.lock')), RunFolder(folder) as run:
                driver = Driver(recipe, make_method(recipe), task, run, Stopwatch())
                self._dense_networks[seed] = driver.build()[0].model
        finally:
            task.steps = steps
        return self._dense_networks[seed]
