# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What may be cut, and the cut itself: remove, prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import (
    ChannelError,
    ChannelGraph,
    Cost,
    Group,
    PruningPlan,
    compact,
)
from uav_prune_perception.channels.graph import TOLERANCE
from uav_prune_perception.export.width_curve import BLOCK
from uav_prune_perception.training.task import LearningTask

from .allocation import TOLERANCE as BUDGET_TOLERANCE
from .allocation import Ranking, Uniform, group_bounds
from .interfaces import Bounds, Budget, BudgetKind, Keep, MethodError, Scores
from .recipe import LevelSection, PruneSection, Recipe


@dataclass(frozen=True)
class Cut:
    """A compact network, how it was made, what it costs, and the proof.

    Attributes:
        model: the compact network, of the same class.
        plan: what was removed, relative to the network that was cut.
        cost: of the compact network.
        error: largest relative difference to the masked network.
    """

    model: nn.Module
    plan: PruningPlan
    cost: Cost
    error: float


# Of `prune.round_to: auto`, in order: whole blocks are what engines compute, and widths
# between two multiples cost more than the next one. Narrow networks need finer steps.
AUTO_STEPS = (BLOCK, 4, 2, 1)


class Limits:
    """What the recipe's bounds allow, counted from the dense network.

    Args:
        recipe: bounds and levels.
        dense: the dense network's channels.

    Attributes:
        dense_graph: see ``dense``.
        dense_cost: what the dense network costs.

    Raises:
        MethodError: nothing can be cut, or a level asks for less than the bounds allow.
    """

    def __init__(self, recipe: Recipe, dense: ChannelGraph) -> None:
        self.recipe = recipe
        self.dense_graph, self.dense_cost = dense, dense.cost()
        self._dense_widths = {group.name: group.width for group in dense.groups}
        levels = recipe.prune.levels
        asked = [(index, level) for index, level in enumerate(levels) if level.share < 1.0]
        if not asked:
            return
        if not dense.groups:
            reasons = '; '.join(str(frozen) for frozen in dense.frozen[:3])
            raise MethodError(f'{recipe.network.name}: no channel can be cut ({reasons})')
        self._steps = {level.name: self._checked_steps(index, level) for index, level in asked}

    def _checked_steps(self, index: int, level: LevelSection) -> tuple[int, ...]:
        """Those of `steps`, for the dense network."""
        steps = self._all_steps()
        if level.kind == 'latency':
            return steps  # only measuring tells
        budget = self.budget(self.dense_graph, level)
        for place, step in enumerate(steps[:-1]):
            if self._within_reach(budget, step):
                return steps[place:]
        self._check_narrowest(index, level, steps[-1])
        return steps[-1:]

    def _within_reach(self, budget: Budget, step: int) -> bool:
        """Whether cutting every group alike meets the budget."""
        order = Ranking(
            {group.name: torch.arange(float(group.width)) for group in self.dense_graph.groups},
            self.bounds(self.dense_graph, step),
        )
        try:
            Uniform().reach(order, budget)
        except MethodError:
            return False
        return True

    def _check_narrowest(self, index: int, level: LevelSection, step: int) -> None:
        graph, budget = self.dense_graph, self.budget(self.dense_graph, level)
        bounds = self.bounds(graph, step)
        narrowest = budget.cost(
            {group.name: _first(group, bounds[group.name].least) for group in graph.groups}
        )
        if narrowest > budget.target * (1 + BUDGET_TOLERANCE):
            place = self.recipe.place(('prune', 'levels', index, level.kind))
            what = 'MACs' if budget.kind == 'macs' else 'parameters'
            raise MethodError(
                f'{place}: level {level.name} asks for {level.share:.1%} of the {what}, '
                f'but the narrowest network allowed keeps {narrowest / budget.full:.1%}; '
                f'{_loosen(self.recipe.prune)}, or ask for more'
            )

    def _all_steps(self) -> tuple[int, ...]:
        asked = self.recipe.prune.round_to
        return AUTO_STEPS if asked == 'auto' else (asked,)

    def steps(self, section: LevelSection) -> tuple[int, ...]:
        """What widths may be multiples of, the coarsest that reaches the level first."""
        return self._steps[section.name]

    def bounds(self, graph: ChannelGraph, step: int | None = None) -> dict[str, Bounds]:
        """Of every group.

        Args:
            graph: the dense network's, or one that was cut from it.
            step: widths are multiples of it; None: the finest that the recipe allows.
        """
        step = self._all_steps()[-1] if step is None else step
        settings = self.recipe.prune
        return {
            group.name: group_bounds(
                group.width, group.tied, self._dense_widths.get(group.name, group.width),
                min_channels=settings.min_channels, max_cut=settings.max_cut,
                step=group.step(step),
            )
            for group in graph.groups
        }

    def budget(self, graph: ChannelGraph, level: LevelSection) -> Budget:
        """Of a level; one that asks for a latency starts with as large a share of the MACs."""
        kind: BudgetKind = 'params' if level.kind == 'kept_params' else 'macs'
        return self.budget_of(graph, kind, level.share)

    def budget_of(self, graph: ChannelGraph, kind: BudgetKind, share: float) -> Budget:
        """``share`` of the dense network's MACs or parameters."""
        full = float(getattr(self.dense_cost, kind))

        def cost(keep: Keep) -> float:
            return float(getattr(graph.cost(keep), kind))

        return Budget(kind, share * full, full, cost)


def cut_to(graph: ChannelGraph, model: nn.Module, keep: Keep, level: str) -> Cut:
    """Cut ``model`` (which stays as it is), and prove the result.

    Raises:
        ChannelError: the compact network does not reproduce the masked one.
    """
    plan = graph.plan(keep)
    small = compact(model, plan)
    error = graph.verify(model, small, plan)
    if not error <= TOLERANCE[graph.dtype]:
        raise ChannelError(
            f'level {level}: the compact network differs from the masked one by '
            f'{error:.1e}; name the layers that it must not touch in prune.keep'
        )
    return Cut(small, plan, graph.cost(keep), error)


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


def checked_scores(
    scores: object, graph: ChannelGraph, method: str, *, residual: bool, gone: PruningPlan
) -> Scores:
    """Scores as allocators take them: a slip of a method is named and not half applied.

    Branches that cannot be cut on their own are left out; channels that ``gone`` has cut already
    score -inf.

    Raises:
        MethodError: a group or branch has no scores, or not as many as channels.
    """
    if not isinstance(scores, Mapping):
        raise MethodError(f'method {method}: scores must be a mapping, not {type(scores)}')
    checked: dict[str, Tensor | dict[str, Tensor]] = {}
    for group in graph.groups:
        given = scores.get(group.name)
        if not isinstance(given, Mapping):
            values = _one_score(given, group, method)
            alive = torch.stack([_alive(group, slot.module, gone) for slot in group.producers])
            checked[group.name] = values.masked_fill(~alive.any(0), -torch.inf)
            continue
        if not residual:
            raise MethodError(
                f'method {method}: group {group.name} is scored branch by branch, but the method '
                'does not say residual=True'
            )
        own = {slot.module for slot in group.producers if slot.parameter in graph.branches}
        scored = {
            module: _one_score(values, group, method).masked_fill(
                ~_alive(group, module, gone), -torch.inf
            )
            for module, values in given.items() if module in own
        }
        if not scored:
            raise MethodError(
                f'method {method}: {group.name}: none of {", ".join(given)} can be cut on its own'
            )
        checked[group.name] = scored
    return checked


def _one_score(values: object, group: Group, method: str) -> Tensor:
    if not isinstance(values, Tensor) or tuple(values.shape) != (group.width,):
        shape = tuple(values.shape) if isinstance(values, Tensor) else None
        raise MethodError(
            f'method {method}: group {group.name} needs {group.width} scores, got {shape}'
        )
    if bool(torch.isnan(values).any()):
        raise MethodError(f'method {method}: a score of group {group.name} is not a number')
    return values.detach().to('cpu', torch.float64)


def _alive(group: Group, module: str, gone: PruningPlan) -> Tensor:
    """Bool [width]: which choices of a producer an earlier cut has left."""
    alive = torch.ones(group.width, dtype=torch.bool)
    for slot in group.producers:
        if slot.module != module:
            continue
        for cut in gone.cuts:
            if (cut.parameter, cut.dim) == (slot.parameter, slot.dim):
                kept = torch.zeros(cut.size, dtype=torch.bool)
                kept[list(cut.kept)] = True
                alive &= kept[group.members[slot]].all(1)
    return alive


def _loosen(settings: PruneSection) -> str:
    """Which bounds may be in the way."""
    given = settings.round_to
    steps = f', lower prune.round_to (now {given})' if given != 'auto' and given > 1 else ''
    return f'lower prune.min_channels{steps}, raise prune.max_cut'


def _first(group: Group, count: int) -> Tensor:
    mask = torch.zeros(group.width, dtype=torch.bool)
    mask[:count] = True
    return mask
