# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the benchmark of detectors: as `methods_runs.Bench`, with a detector's figures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detection_settings import DetectionSetting, Goal
from methods_rivals import TorchPruner
from methods_runs import Bench, Metered, Stand
from methods_settings import Contender
from torch import Tensor, nn

from uav_prune_perception.datasets.detection_set import DetectionSet, DetectionSplit
from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.networks.weights import load_weights, read_weights
from uav_prune_perception.training.detection_task import DetectionTask
from uav_prune_perception.training.fit import FitOptions, fit
from uav_prune_perception.training.task import LearningTask, Predict

STEM, HEAD = 'model.0.conv.weight', 'model.24.m.'


class MeteredDetection(Metered, DetectionTask):
    """A detection task that counts, and is evaluated in batches, whoever asks."""

    def evaluate(self, predict: Predict, split: str = 'val', batch_size: int = 1) -> Accuracy:
        """The same figure sooner."""
        return super().evaluate(predict, split, max(16, batch_size))


class DetectionBench(Bench):
    """Everything of one detection problem that its runs share."""

    setting: DetectionSetting
    rival_steps = 60  # each takes seconds here

    def with_small_val(self, task: LearningTask) -> DetectionTask:
        """The task with a part of val, spread evenly; nothing is chosen by it here."""
        assert isinstance(task, DetectionTask)
        limit, val = self.setting.val_limit, task.data.split('val')
        if limit is None or len(val) <= limit:
            return task
        at = np.linspace(0, len(val) - 1, limit).round().astype(int)
        small = DetectionSplit(val.images[at], *(
            [rows[i] for i in at] for rows in (val.boxes, val.labels, val.ignore)
        ))
        whole, task.data = task.data, DetectionSet(
            task.data.classes, lambda name: small if name == 'val' else whole.split(name),
            task.data.sha256,
        )
        return task

    def task(self) -> Any:
        """A fresh count over the same pictures."""
        base = self._template
        task = MeteredDetection(
            base.data, base.augmentation, base.loss_options, base.teacher_weight,
            base.size_limits, mean=base.input.mean, std=base.input.std,
            repeat_threshold=base.repeat_threshold,
        )
        task.pictures = self.setting.pictures
        task.test_reads.limit = 1
        return task

    def level(self, cut: Goal) -> dict[str, float]:
        """The recipe's level for a goal."""
        return {f'kept_{cut.kind}': 1 - cut.cut}

    def _ours(
        self, contender: Contender, cut: Goal | None, seed: int, stand: Stand
    ) -> nn.Module:
        if cut is not None:
            return super()._ours(contender, cut, seed, stand)
        dense, task, watch = stand
        watch.phase('training on', 1)
        model = copy.deepcopy(dense)
        fit(model, task, FitOptions(**self.setting.fit(), seed=seed * 1000 + 1))
        return model.to('cpu').eval()

    def phase(self, name: str, part: float) -> dict[str, Any]:
        """Sparse training has its own optimiser."""
        return self.setting.sparse(part) if name == 'sparse' else self.setting.fit(part)

    def cut_rival(self, pruner: TorchPruner, cut: Goal) -> nn.Module:
        """Torch-Pruning's network for a goal."""
        if cut.kind == 'macs':
            return pruner.cut(1 - cut.cut)
        return pruner.cut(1 - cut.cut, params_of)

    def figures(self, accuracy: Accuracy) -> dict[str, Any]:
        """mAP50 and what it hides."""
        worst = min(accuracy.per_class.items(), key=lambda item: item[1], default=('', 0.0))
        return {
            'mAP50': accuracy.value, 'n': accuracy.n, **accuracy.figures,
            'per_class': accuracy.per_class, 'worst_class': worst[0], 'worst': worst[1],
        }

    def _fresh(self) -> nn.Module:
        options, task = self.problem.network['options'], self._template
        return build_network(
            self.problem.network['name'], classes=len(task.classes),
            channels=len(task.input.mean), **options,
        ).eval()

    def _dense_name(self) -> str:
        name = f'{self.problem.name}_{self.setting.name}'
        return name.replace(' ', '_').replace(',', '')

    def _learn(self, model: nn.Module, path: Path) -> None:
        setting = self.setting
        if setting.start:
            start_from_coco(model, self.data_root / setting.start, self._template.classes)
        options = FitOptions(
            epochs=self.problem.dense_epochs, batch_size=setting.batch_size,
            lr=setting.lr if setting.start else 3e-3, device=setting.device, amp=setting.amp,
        )
        fit(model, self._template, options, checkpoint=path.with_suffix('.ckpt'))


COCO = {'Person': 0, 'Bicycle': 1, 'Car': 2, 'OtherVehicle': 7}  # the last is COCO's truck


def start_from_coco(model: nn.Module, path: Path, classes: tuple[str, ...]) -> None:
    """Weights of COCO and RGB for ours and grey: rows of the head picked, the stem summed."""
    weights = {key: value.float() for key, value in read_weights(path).items()}
    if model.state_dict()[STEM].shape[1] == 1:
        weights[STEM] = weights[STEM].sum(dim=1, keepdim=True)
    rows = torch.tensor([0, 1, 2, 3, 4, *(5 + COCO[name] for name in classes)])
    for key in [key for key in weights if key.startswith(HEAD)]:
        value = weights[key]
        weights[key] = value.reshape(3, 85, *value.shape[1:])[:, rows].flatten(0, 1)
    load_weights(model, weights)


def params_of(model: nn.Module, example: Tensor) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
