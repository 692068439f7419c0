# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One cut: score, allocate, remove, prove."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import (
    ChannelError,
    ChannelGraph,
    Group,
    PruningPlan,
    compact,
)
from uav_prune_perception.channels.graph import TOLERANCE
from uav_prune_perception.training.task import LearningTask

from .allocation import TOLERANCE as BUDGET_TOLERANCE
from .allocation import group_bounds
from .interfaces import Bounds, Keep, Method, MethodError
from .recipe import LevelSection, Recipe


@dataclass(frozen=True)
class Cut:
    """A compact network, how it was made, what it costs, and the proof.

    Attributes:
        model: the compact network, of the same class.
        plan: what was removed, relative to the network that was cut.
        macs: multiply-accumulates of one picture.
        error: largest relative difference to the masked network.
    """

    model: nn.Module
    plan: PruningPlan
    macs: int
    error: float


class Cutter:
    """Cuts networks of one recipe, within its bounds.

    Args:
        method: who matters, and how many stay.
        recipe: bounds.
        task: for methods that look at data.
    """

    def __init__(self, method: Method, recipe: Recipe, task: LearningTask) -> None:
        self.method, self.recipe, self.task = method, recipe, task
        self._dense_widths: dict[str, int] = {}

    def remember(self, dense: ChannelGraph) -> None:
        """Note the dense widths, and check that every level can be reached.

        Raises:
            MethodError: nothing can be cut, or a level asks for less than the bounds allow.
        """
        recipe = self.recipe
        self._dense_widths = {group.name: group.width for group in dense.groups}
        asked = [
            (index, level) for index, level in enumerate(recipe.prune.levels)
            if level.kept_macs < 1.0
        ]
        if not asked:
            return
        if not dense.groups:
            reasons = '; '.join(str(frozen) for frozen in dense.frozen[:3])
            raise MethodError(f'{recipe.network.name}: no channel can be cut ({reasons})')
        narrowest = dense.cost(
            {group.name: _first(group, self._bounds(group).least) for group in dense.groups}
        ).macs
        full = dense.cost().macs
        for index, level in asked:
            if narrowest > level.kept_macs * full * (1 + BUDGET_TOLERANCE):
                place = recipe.place(('prune', 'levels', index, 'kept_macs'))
                raise MethodError(
                    f'{place}: level {level.name} asks for {level.kept_macs:.1%} of the MACs, '
                    f'but the narrowest network allowed keeps {narrowest / full:.1%}; lower '
                    'prune.min_channels, raise prune.max_cut, or ask for more'
                )

    def cut(self, model: nn.Module, level: LevelSection, dense_macs: int) -> Cut:
        """Cut ``model`` (which stays as it is) to ``level``.

        Raises:
            MethodError: the budget cannot be reached; names the recipe's line.
            ChannelError: the compact network does not reproduce the masked one.
        """
        graph = traced(model, self.recipe, self.task)
        scores = self.method.score.score(model, graph, self.task)
        _check_scores(scores, graph, self.recipe.prune.method)
        bounds = {group.name: self._bounds(group) for group in graph.groups}

        def macs(keep: Keep) -> float:
            return graph.cost(keep).macs

        try:
            target = level.kept_macs * dense_macs
            keep = self.method.allocator.allocate(scores, macs, target, bounds)
        except MethodError as fault:
            place = self.recipe.place(
                ('prune', 'levels', self.recipe.prune.levels.index(level), 'kept_macs')
            )
            raise MethodError(f'{place}: level {level.name}: {fault}') from None
        plan = graph.plan(keep)
        small = compact(model, plan)
        error = graph.verify(model, small, plan)
        if not error <= TOLERANCE[graph.dtype]:
            raise ChannelError(
                f'level {level.name}: the compact network differs from the masked one by '
                f'{error:.1e}; name the layers that it must not touch in prune.keep'
            )
        return Cut(small, plan, round(macs(keep)), error)

    def _bounds(self, group: Group) -> Bounds:
        settings = self.recipe.prune
        return group_bounds(
            group.width, group.tied, self._dense_widths.get(group.name, group.width),
            min_channels=settings.min_channels, round_to=settings.round_to,
            max_cut=settings.max_cut,
        )


def traced(model: nn.Module, recipe: Recipe, task: LearningTask) -> ChannelGraph:
    """The channel graph of a network for the task's pictures.

    Raises:
        MethodError: ``prune.keep`` names no module; names the recipe's line.
        ChannelError: the network cannot be traced.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for index, path in enumerate(recipe.prune.keep):
        if path not in modules:
            place = recipe.place(('prune', 'keep', index))
            raise MethodError(f'{place}: prune.keep: no module "{path}" in the network')
    return ChannelGraph.trace(model, task.example_input(), keep=recipe.prune.keep)


def _first(group: Group, count: int) -> Tensor:
    mask = torch.zeros(group.width, dtype=torch.bool)
    mask[:count] = True
    return mask


def _check_scores(scores: object, graph: ChannelGraph, method: str) -> None:
    """Third-party scores are checked here, so that a slip is named and not half applied."""
    assert isinstance(scores, dict)
    for group in graph.groups:
        values = scores.get(group.name)
        if values is None or tuple(values.shape) != (group.width,):
            shape = None if values is None else tuple(values.shape)
            raise MethodError(
                f'method {method}: group {group.name} needs {group.width} scores, got {shape}'
            )
        if bool(torch.isnan(values).any()):
            raise MethodError(f'method {method}: a score of group {group.name} is not a number')
