# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ACP's search of one level: cluster, populate, and move the swarm round by round."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.channels import magnitude
from uav_prune_perception.methods.interfaces import LevelContext, MethodError, Scores
from uav_prune_perception.methods.search_interfaces import Proposal, Verdict
from uav_prune_perception.methods.surgeon.takeover import Surgeon

from .budget import BudgetMender, suffices
from .clusters import cluster_width, distances, mean_feature_maps
from .options import AcpOptions
from .space import Layer, inherited, searched_layers
from .swarm import Swarm, SwarmOptions, Widths

EPS_STEPS = 24  # of bisection, over 0..2
PICTURES_AT_ONCE = 20


class AcpRun:
    """`PopulationRun` of one level.

    Args:
        options: of the recipe.
        context: of the level.
        scores: of the method's score slot, for ``inherit: score``.
    """

    def __init__(self, options: AcpOptions, context: LevelContext, scores: Scores | None) -> None:
        self.options, self.context = options, context
        self.layers = _layers(options, context)
        if not self.layers:
            raise MethodError(
                'no layer to search: every group has several producers; give '
                'prune.options.layers: all'
            )
        self.budget = BudgetMender(self.layers, context)
        self.scores = self._scores(scores)
        self.surgeon = Surgeon.of(context) if options.mends else None
        self._known: dict[Widths, float] = {}
        self._rows: list[Widths] = []  # of the round: all particles,
        self._proposed: list[Widths] = []  # and those of them that are judged
        self.swarm = self._swarm()

    # -- PopulationRun --------------------------------------------------------------------------

    def propose(self) -> Sequence[Proposal]:
        """The particles of the next generation; those of known fitness are left out."""
        while not self.swarm.finished:
            widths = self._rows = self._asked()
            if self.options.repeatable:
                new = list(dict.fromkeys(row for row in widths if row not in self._known))
            else:
                new = widths
            if new:
                self._proposed = new
                return [self._proposal(index, row) for index, row in enumerate(new)]
            self.swarm.tell([self._known[row] for row in widths], widths)
        return []

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """Move the swarm on."""
        fitness = [verdict.fitness for verdict in verdicts]
        if self.options.repeatable:
            self._known.update(zip(self._proposed, fitness, strict=True))
            self.swarm.tell([self._known[row] for row in self._rows], self._rows)
        else:
            self.swarm.tell(fitness, self._proposed)

    def state_dict(self) -> dict[str, Any]:
        """Swarm, its random state, and what is known."""
        return {
            'swarm': self.swarm.state_dict(),
            'known': [[list(row), _plain(value)] for row, value in self._known.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.swarm.load_state_dict(state['swarm'])
        self._known = {
            tuple(row): float('-inf') if value is None else float(value)
            for row, value in state['known']
        }

    # -- its parts --------------------------------------------------------------------------

    def _asked(self) -> list[Widths]:
        asked = self.swarm.ask()
        return [self.budget.mended(row) for row in asked] if self.options.budgeted else asked

    def _proposal(self, index: int, widths: Widths) -> Proposal:
        seed = _seed(self.context.seed, self.swarm.generation, index)
        keep = inherited(self.layers, widths, self.options.rule, self.scores, seed)
        weights: Mapping[str, Tensor] = {}
        if self.surgeon is not None:
            weights = self.surgeon.taken_over(keep)
        elif self.options.fresh_batchnorm:
            weights = fresh_batchnorm(self.context.model)
        return Proposal(keep, weights)

    def _scores(self, given: Scores | None) -> Scores:
        if self.options.rule == 'score':
            assert given is not None, 'the method has a score'
            return given
        return magnitude(self.context.model, self.context.graph.groups, 'l1')

    def _swarm(self) -> Swarm:
        options, layers = self.options, self.layers
        limits = [layer.width for layer in layers]
        settings = SwarmOptions(
            options.particles, options.cycles, options.moved,
            'as_released' if options.mode == 'as_released' else 'as_intended',
        )
        # Four times as fast in a layer four times as wide as 16, where the step is free
        scale = [max(1, round(width / 16)) for width in limits] if options.budgeted else None
        return Swarm(self.cluster_widths(), limits, settings, self.context.seed, scale)

    def cluster_widths(self) -> Widths:
        """Stage A: particle 0."""
        far = self._distances()
        eps = self.options.eps if self.options.eps is not None else self._eps(far)
        widths = self._widths(far, eps)
        context = self.context
        share = self.budget.cost(widths) / context.asked.full
        dense = ' '.join(str(layer.width) for layer in self.layers)
        context.reporter.note(
            f'{context.level}: clusters at eps {eps:.4g} leave {share:.1%}: '
            f'{" ".join(map(str, widths))} of {dense}'
        )
        return widths

    def _distances(self) -> list[list[NDArray[np.float64]]]:
        options, context = self.options, self.context
        batches = context.task.calibration_batches(
            max(1, options.images // PICTURES_AT_ONCE), PICTURES_AT_ONCE, 'val'
        )
        groups = [group for layer in self.layers for group in layer.groups]
        maps = mean_feature_maps(context.model, groups, batches)
        return [[distances(maps[group.name]) for group in layer.groups] for layer in self.layers]

    def _widths(self, far: Sequence[Sequence[NDArray[np.float64]]], eps: float) -> Widths:
        least = self.options.min_samples
        return tuple(max(cluster_width(one, eps, least) for one in layer) for layer in far)

    def _eps(self, far: Sequence[Sequence[NDArray[np.float64]]]) -> float:
        """The radius whose clusters cost what is nearest to the level's budget."""
        low, high = 0.0, 2.0
        tried: dict[float, float] = {}
        for _ in range(EPS_STEPS):
            middle = (low + high) / 2
            tried[middle] = self.budget.cost(self._widths(far, middle)) - self.budget.target
            low, high = (middle, high) if tried[middle] > 0 else (low, middle)
        return min(tried, key=lambda eps: abs(tried[eps]))


def _layers(options: AcpOptions, context: LevelContext) -> list[Layer]:
    model, graph, shared = context.model, context.graph, not options.budgeted
    layers = searched_layers(model, graph, options.layers or 'inner', shared=shared)
    if options.budgeted and options.layers is None and not suffices(layers, context):
        return searched_layers(model, graph, 'all', shared=shared)
    return layers


def fresh_batchnorm(model: nn.Module) -> dict[str, Tensor]:
    """As released: the thin network's BatchNorm starts anew, only convolutions are inherited."""
    weights: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            for name, value in module.state_dict(prefix=f'{path}.').items():
                one = name.endswith(('weight', 'running_var'))
                weights[name] = torch.ones_like(value) if one else torch.zeros_like(value)
    return weights


def _plain(value: float) -> float | None:
    return None if value == float('-inf') else value


def _seed(*parts: int) -> int:
    text = '/'.join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], 'little')
