# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the benchmark: prune by a contender's recipe, fine-tune, judge once."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from methods_rivals import STEPS, TAYLOR_BATCHES, TorchPruner, kept_channels, macs_of
from methods_settings import Contender, Problem, Setting
from resumable import alone
from safetensors.torch import save_file
from torch import Tensor, nn

from uav_prune_perception.datasets.classification_set import ClassificationSet, ClassificationSplit
from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.methods.driver import Driver
from uav_prune_perception.methods.latency import LatencyMeter
from uav_prune_perception.methods.recipe import Recipe, check_recipe
from uav_prune_perception.methods.recipe_source import RecipeSource
from uav_prune_perception.methods.registry import make_method
from uav_prune_perception.methods.run_folder import RunFolder
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.networks.weights import load_weights
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.feature_distillation import FeatureDistillation
from uav_prune_perception.training.fit import FitOptions, fit
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask, Predict, torch_predict
from uav_prune_perception.training.task_factory import make_task

CALIBRATION = 10  # batches for BatchNorm after a cut, the same for everyone


class Metered:
    """Before a task's class: epochs of so many pictures, and a count of labelled batches given.

    Every optimiser step takes one, and so does every gradient that a score is made of.
    """

    pictures: int | None = None
    taken = 0

    def steps_per_epoch(self, batch_size: int) -> int:
        """Through the pictures of an epoch as set, or through the whole data."""
        whole: int = super().steps_per_epoch(batch_size)  # type: ignore[misc]
        return whole if self.pictures is None else min(whole, -(-self.pictures // batch_size))

    def train_batches(
        self, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Counts."""
        for batch in super().train_batches(epoch, batch_size, generator):  # type: ignore[misc]
            self.taken += 1
            yield batch


class MeteredTask(Metered, ClassificationTask):
    """A classification task that counts."""

    def __init__(self, data: ClassificationSet, pictures: int | None, **learning: Any) -> None:
        super().__init__(data, **learning)
        self.pictures = pictures

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


Stand = tuple[nn.Module, Any, Stopwatch]  # dense network, task, clock of a run


class Bench:
    """Everything of one problem that its runs share.

    Args:
        setting: how much is learnt.
        problem: data and network.
        data_root: where the data lies.
        work: folder for dense networks.
    """

    rival_steps = STEPS

    def __init__(self, setting: Setting, problem: Problem, data_root: Path, work: Path) -> None:
        self.setting, self.problem, self.work = setting, problem, work
        self.data_root = data_root
        self.data = {**problem.data, 'root': str(data_root / problem.data['root'])}
        self.options = dict(problem.network)
        if 'weights' in self.options:
            self.options['weights'] = str(data_root / self.options['weights'])
        self._template = self.with_small_val(make_task(self.data))
        self._meter: LatencyMeter | None = None
        self._dense: nn.Module | None = None

    def with_small_val(self, task: LearningTask) -> Any:
        """The task with only the first pictures of val, which some readers give in full."""
        assert isinstance(task, ClassificationTask)
        limit, val = self.setting.val_limit, task.data.split('val')
        if limit is not None and len(val) > limit:
            order = np.random.default_rng(0).permutation(len(val))[:limit]
            small = ClassificationSplit(val.images[order], val.labels[order])
            splits = {**task.data.splits, 'val': small}
            task.data = dataclasses.replace(task.data, splits=splits)
        return task

    def task(self) -> MeteredTask:
        """A fresh count over the same pictures."""
        base = self._template
        task = MeteredTask(
            base.data, self.setting.pictures, augmentation=base.augmentation, mean=base.input.mean,
            std=base.input.std,
        )
        task._sha256 = base.data_sha256
        task.test_reads.limit = 1
        return task

    def recipe(self, contender: Contender, cut: Any, seed: int) -> Recipe:
        """What ``uav-prune prune`` would be given for this run."""
        parts = dict(contender.parts)
        values: dict[str, Any] = {
            'name': 'benchmark', 'seed': seed, 'data': self.data, 'network': self.options,
            'train': {**self.setting.fit(), 'epochs': 0},
            'prune': {
                'method': contender.method, 'options': contender.options,
                'levels': [self.level(cut)], 'from': 'dense', 'min_channels': 2,
                'max_cut': 0.9, 'recalibrate_batches': CALIBRATION, 'round_to': 1,
                **contender.prune,
            },
            'finetune': {
                **self.setting.fit(1 - sum(parts.values())), 'distil': contender.distil,
                **contender.finetune,
            },
        }
        if contender.allocation:
            values['prune']['allocation'] = contender.allocation
        for phase, part in parts.items():
            values[phase] = self.phase(phase, part)
        return check_recipe(RecipeSource(contender.name, values))

    def phase(self, name: str, part: float) -> dict[str, Any]:
        """A training section with a part of the budget."""
        return self.setting.fit(part)

    def level(self, cut: Any) -> dict[str, float]:
        """The recipe's level for a cut."""
        return {'kept_macs': 1 - cut}

    def figures(self, accuracy: Accuracy) -> dict[str, Any]:
        """What a row says of accuracy."""
        return {'top1': accuracy.value, 'n': accuracy.n}

    def run(self, contender: Contender, cut: Any, seed: int) -> dict[str, Any]:
        """The figures of one run.

        Raises:
            ValueError, RuntimeError: those of the package and of Torch-Pruning.
        """
        task, dense = self.task(), self.network()
        began, watch = time.monotonic(), Stopwatch()
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
            **self.figures(accuracy), 'test_reads': task.test_reads.count,
            'macs': macs, 'macs_cut': 1 - macs / full,
            'params': sum(parameter.numel() for parameter in small.parameters()),
            'latency_ratio': round(ratio.value, 4), 'latency_error': round(ratio.error, 4),
            'prune_s': round(total - trained, 2), 'total_s': round(total, 2),
            'batches': task.taken,
            'phases_s': {title: round(value, 2) for title, value in watch.seconds.items()},
        }

    def dense(self) -> dict[str, Any]:
        """The dense network itself, on test."""
        task, model = self.task(), self.network()
        accuracy = task.evaluate(torch_predict(model.to(self.setting.device)), 'test')
        model.to('cpu')
        return {
            **self.figures(accuracy), 'macs': macs_of(model, task.example_input()),
            'params': sum(parameter.numel() for parameter in model.parameters()),
        }

    def meter(self, dense: nn.Module) -> LatencyMeter:
        """Measures against the dense network: one thread, taking turns."""
        if self._meter is None:
            example = self._template.example_input()
            self._meter = LatencyMeter(dense, example, threads=1, runs=60)
        return self._meter

    def _ours(self, contender: Contender, cut: Any, seed: int, stand: Stand) -> nn.Module:
        _, task, watch = stand
        recipe = self.recipe(contender, cut, seed)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            with RunFolder(folder) as run:
                levels = Driver(recipe, make_method(recipe), task, run, watch).build()
            return levels[0].model

    def _rival(self, contender: Contender, cut: Any, seed: int, stand: Stand) -> nn.Module:
        dense, task, watch = stand
        setting, parts = self.setting, contender.parts
        pruner = TorchPruner(
            contender.method, dense, task.example_input(), self.problem.rigid,
            self.rival_steps,
        )
        if 'sparse' in parts:
            watch.phase('sparse training', 1)
            options = FitOptions(**self.phase('sparse', parts['sparse']), seed=seed * 1000 + 900)
            fit(pruner.model, task, options, hooks=[pruner.hook()])
            pruner.model.to('cpu')
        watch.phase('choosing channels', 1)
        if contender.method == 'taylor':
            generator = torch.Generator().manual_seed(seed)
            batches = task.train_batches(0, setting.batch_size, generator)
            pruner.gradients(itertools.islice(batches, TAYLOR_BATCHES), setting.device)
        small = self.cut_rival(pruner, cut)
        features = contender.finetune.get('feature_weight', 0.0)
        kept = kept_channels(dense, small) if features else {}
        recalibrate_batchnorm(small, task.calibration_batches(CALIBRATION))
        watch.phase('fine-tuning', 1)
        options = FitOptions(**setting.fit(1 - sum(parts.values())), seed=seed * 1000 + 1)
        with FeatureDistillation(small, dense, kept, features) as hook:
            fit(
                small, task, options, teacher=dense if contender.distil else None,
                hooks=[hook] if features else [],
            )
        dense.to('cpu')
        return small.to('cpu').eval()

    def cut_rival(self, pruner: TorchPruner, cut: Any) -> nn.Module:
        """Torch-Pruning's network for a cut."""
        return pruner.cut(1 - cut)

    def network(self) -> nn.Module:
        """The dense network, the same for all seeds; trained once where none is published."""
        if self._dense is None:
            if 'weights' not in self.options:
                self.options['weights'] = str(self._trained())
            self._dense = self._fresh()
            load_weights(self._dense, self.options['weights'])
        return self._dense

    def _fresh(self) -> nn.Module:
        options = self.problem.network.get('options', {})
        classes = len(self._template.classes)
        return build_network(self.problem.network['name'], classes=classes, **options).eval()

    def _trained(self) -> Path:
        """Where the dense network lies; trained here, once, where it does not yet."""
        path = self.work / f'{self._dense_name()}.safetensors'
        with alone(path.with_suffix('.lock')):
            if not path.is_file():
                torch.manual_seed(0)
                model = self._fresh()
                self._learn(model, path)
                with replacing(path) as temporary:
                    save_file(model.to('cpu').state_dict(), temporary)
        return path

    def _dense_name(self) -> str:
        return self.problem.name.replace(' ', '_')

    def _learn(self, model: nn.Module, path: Path) -> None:
        task = self.task()
        task.pictures = None  # it learns from all of the data
        options = {**self.setting.fit(), 'epochs': self.problem.dense_epochs, 'lr': 0.1,
                   'warmup_epochs': 1.0}
        fit(model, task, FitOptions(**options))
