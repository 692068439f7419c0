# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage C: how good a thin network is. One candidate at a time, apart from all others.

[C] Thin network with inherited convolutions, 3 epochs on the training pictures (SGD, rate 0.1,
momentum 0.9, decay 1e-4), fitness = top-1 accuracy. Released: on the test set; here always on
the held-out split, in every mode. Released: BatchNorm starts anew; intended: its rows are
inherited with the filters.

[ours] 'accuracy' judges without training: lost channels are made up for by least squares,
BatchNorm statistics are measured anew, then the metric on the held-out split. 'agreement' looks
at the dense network's outputs instead of labels, which tells close candidates apart with far
fewer pictures: 1 - (squared difference to the dense outputs) / (their variance).
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.channels import ChannelError, PruningPlan
from uav_prune_perception.channels.compact import compact_in_place
from uav_prune_perception.training.fit import fit
from uav_prune_perception.training.fit_options import FitOptions
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask, TrainingError, torch_predict

from .swarm import WORST

Fitness = Literal['trained', 'accuracy', 'agreement']


@dataclass(frozen=True)
class Candidate:
    """One particle of one generation: everything that its evaluation needs but the network.

    Attributes:
        number: counts through the search.
        plan: what it cuts from the dense network.
        weights: parameters that change beside the cut (before it), by name.
        seed: of its training.
    """

    number: int
    plan: PruningPlan
    weights: dict[str, Tensor] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Judgement:
    """What became of a candidate.

    Attributes:
        fitness: larger is better; minus infinity where it failed.
        seconds: wall time.
        fault: why it failed, or ''.
        weights: its trained state dict where training was part of the judgement.
    """

    fitness: float
    seconds: float
    fault: str = ''
    weights: dict[str, Tensor] | None = None


class Judge(Protocol):
    """The seam behind which candidates may be judged anywhere, in any order."""

    def __call__(self, candidate: Candidate) -> Judgement:
        """Depends on nothing but the candidate (and what the judge was made of)."""
        ...


@dataclass
class NetworkJudge:
    """Judges by building the thin network. Can be pickled, so that it can move to workers.

    Args:
        dense: the network that candidates are cut from.
        task: data and metric; only its train and val splits are used.
        fitness: see the module.
        training: settings of the 'trained' fitness.
        fresh_batchnorm: BatchNorm starts anew instead of inheriting (as released).
        recalibrate: batches for BatchNorm statistics before judging without training.
        pictures: for 'agreement': how many held-out pictures.
    """

    dense: nn.Module
    task: LearningTask
    fitness: Fitness
    training: FitOptions
    fresh_batchnorm: bool = False
    recalibrate: int = 8
    pictures: int = 512
    _wanted: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    def __call__(self, candidate: Candidate) -> Judgement:
        """See `Judge`."""
        started = time.monotonic()

        def seconds() -> float:
            return time.monotonic() - started

        try:
            model = self.built(candidate)
            with torch.random.fork_rng():
                value = self._value(model, candidate)
        except (TrainingError, ChannelError, FloatingPointError) as fault:
            return Judgement(WORST, seconds(), str(fault))
        if not math.isfinite(value):
            return Judgement(WORST, seconds(), f'its {self.fitness} is {value}')
        weights = None
        if self.fitness == 'trained':
            weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        return Judgement(value, seconds(), '', weights)

    def built(self, candidate: Candidate) -> nn.Module:
        """The thin network with what it inherits."""
        model = thin_network(self.dense, candidate)
        if self.fresh_batchnorm:
            for module in model.modules():
                if isinstance(module, _BatchNorm):
                    module.reset_parameters()
        return model

    def _value(self, model: nn.Module, candidate: Candidate) -> float:
        if self.fitness == 'trained':
            options = dataclasses.replace(self.training, seed=candidate.seed)
            fit(model, self.task, options)
            model.to('cpu')
            return self.task.evaluate(torch_predict(model), 'val', options.batch_size).value
        recalibrate_batchnorm(model, self.task.calibration_batches(self.recalibrate))
        if self.fitness == 'accuracy':
            return self.task.evaluate(torch_predict(model), 'val', 16).value
        return self._agreement(model.eval())

    def _agreement(self, model: nn.Module) -> float:
        if not self._wanted:
            self._wanted = [(images, self._outputs(self.dense, images)) for images in self._look()]
        wanted = torch.cat([outputs for _, outputs in self._wanted])
        found = torch.cat([self._outputs(model, images) for images, _ in self._wanted])
        # Each row of the output (a class, a box side) has a scale of its own.
        spread = wanted.transpose(0, 1).flatten(1).var(dim=1, unbiased=False).clamp_min(1e-12)
        error = (found - wanted).transpose(0, 1).flatten(1).square().mean(dim=1)
        return 1.0 - float((error / spread).mean())

    def _look(self) -> list[Tensor]:
        size = min(64, self.pictures)
        count = max(1, self.pictures // size)
        return list(self.task.calibration_batches(count, size, 'val'))

    @staticmethod
    def _outputs(model: nn.Module, images: Tensor) -> Tensor:
        with torch.no_grad():
            return model.eval()(images)


def thin_network(dense: nn.Module, candidate: Candidate) -> nn.Module:
    """The candidate's network, before any training."""
    model = copy.deepcopy(dense)
    named = dict(model.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, value in candidate.weights.items():
            named[name].copy_(value)
    compact_in_place(model, candidate.plan)
    return model
