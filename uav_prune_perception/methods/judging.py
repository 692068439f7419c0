# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How good a candidate of a search is. One at a time, apart from all others.

Whatever a judgement depends on comes with the candidate or was there when the judge was made, so
candidates may be judged anywhere and in any order.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelError, PruningPlan
from uav_prune_perception.channels.compact import compact_in_place
from uav_prune_perception.training.fit import fit
from uav_prune_perception.training.fit_options import FitOptions
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask, TrainingError, torch_predict

from .search_interfaces import Fitness

WORST = -math.inf


@dataclass(frozen=True)
class Candidate:
    """Everything that a judgement needs beside the judge.

    Attributes:
        index: counts through the search.
        plan: what it cuts from the judge's network.
        weights: see `Proposal`.
        seed: of its training.
    """

    index: int
    plan: PruningPlan
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Judgement:
    """What became of a candidate.

    Attributes:
        fitness: larger is better; minus infinity where it failed.
        seconds: wall time.
        fault: why it failed, or ''.
        weights: the candidate's state dict after judging.
    """

    fitness: float
    seconds: float
    fault: str = ''
    weights: dict[str, Tensor] | None = None


class Judge(Protocol):
    """The seam behind which candidates are judged: here, in a process pool, on other ranks."""

    def __call__(self, candidate: Candidate) -> Judgement:
        """Depends on nothing but the candidate and what the judge was made of."""
        ...


@dataclass
class NetworkJudge:
    """Builds the candidate's network, trains it shortly, and judges it on the held-out split.

    Args:
        model: the network that candidates are cut from.
        task: data and metric; only its train and val splits are used.
        training: settings; with 0 epochs only BatchNorm statistics are measured anew.
        recalibrate: batches for that.
        fitness: in place of the accuracy on val.
    """

    model: nn.Module
    task: LearningTask
    training: FitOptions
    recalibrate: int = 20
    fitness: Fitness | None = None

    def __call__(self, candidate: Candidate) -> Judgement:
        """See `Judge`. A loss or result that is not finite is a failure of the candidate."""
        started = time.monotonic()
        try:
            small = candidate_network(self.model, candidate)
            with torch.random.fork_rng():
                value = self._value(small, candidate.seed)
        except (TrainingError, ChannelError) as fault:
            return Judgement(WORST, time.monotonic() - started, str(fault))
        seconds = time.monotonic() - started
        if not math.isfinite(value):
            return Judgement(WORST, seconds, f'its fitness is {value}')
        weights = {name: tensor.detach().clone() for name, tensor in small.state_dict().items()}
        return Judgement(value, seconds, '', weights)

    def _value(self, small: nn.Module, seed: int) -> float:
        recalibrate_batchnorm(small, self.task.calibration_batches(self.recalibrate))
        if self.training.epochs > 0:
            fit(small, self.task, dataclasses.replace(self.training, seed=seed))
        small.to('cpu').eval()
        if self.fitness is not None:
            return self.fitness(small, self.task)
        device = self.training.device
        value = self.task.evaluate(torch_predict(small.to(device)), 'val', 16).value
        small.to('cpu')
        return value


def candidate_network(model: nn.Module, candidate: Candidate) -> nn.Module:
    """The candidate's network before any training; ``model`` stays as it is."""
    small = with_weights(model, candidate.weights)
    compact_in_place(small, candidate.plan)
    return small


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of ``model`` with some of its tensors replaced by others of their shape."""
    model = copy.deepcopy(model)
    if weights:
        named = model.state_dict()
        for name, value in weights.items():
            named[name].copy_(value)
    return model
