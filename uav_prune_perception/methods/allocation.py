# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How many channels stay in which group, so that the network costs what is asked."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .interfaces import (
    Bounds,
    Budget,
    Keep,
    LevelContext,
    MethodError,
    RatioAllocator,
    Scores,
)

TOLERANCE = 0.01  # of the target, the promise
GOOD_ENOUGH = 0.001  # of the target, where the search stops unless the allocator says otherwise
# Where the search for whole widths begins, in steps from where bisection ends.
STARTS = (0, 1, -4, 4, -16, 16, -64, 64)
Unit = tuple[str, str]
"""A group's name, and the producer's module path where branches have widths of their own ('')."""
Counts = dict[Unit, int]


@dataclass(frozen=True)
class GlobalThreshold:
    """One threshold for all groups: the channels with the smallest scores go, wherever they are.

    Scores must be comparable between groups.

    Attributes:
        tolerance: of the target, the promise.
    """

    tolerance: float = TOLERANCE

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`."""
        order = Ranking(scores, context.bounds)
        ranked = _ranked(order)

        def at(removed: int) -> Counts:
            gone = _gone(order, ranked[:removed])
            return {unit: order.fitted(unit, order.width(unit) - gone[unit]) for unit in gone}

        return reach(order, budget, at, steps=len(ranked), tolerance=self.tolerance)


@dataclass(frozen=True)
class Uniform:
    """The same share of every group stays."""

    steps: int = 1000

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`."""
        return self.reach(Ranking(scores, context.bounds), budget)

    def reach(self, order: Ranking, budget: Budget) -> Keep:
        """The same where no level is at hand; raises as `reach` does."""
        def at(removed: int) -> Counts:
            share = 1.0 - removed / self.steps
            return {
                unit: order.fitted(unit, round(share * order.width(unit)))
                for unit in order.scores
            }

        return reach(order, budget, at, steps=self.steps)


@dataclass(frozen=True)
class Balanced:
    """Half-way between one threshold for all and the same share of every group [ours].

    Scores say which groups can spare more, but a threshold follows them until a layer that the
    rest depends on is cut to the bone.
    """

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`."""
        order = Ranking(scores, context.bounds)
        ranked = _ranked(order)

        def at(removed: int) -> Counts:
            share = removed / len(ranked)
            counts: Counts = {}
            for unit, gone in _gone(order, ranked[:removed]).items():
                width = order.width(unit)
                counts[unit] = order.fitted(unit, round(width - 0.5 * (gone + share * width)))
            return counts

        return reach(order, budget, at, steps=len(ranked))


@dataclass(frozen=True)
class InnerFirst:
    """Another allocator on the inner groups; residual streams stay whole where that suffices.

    A stream (a group with several producers) is read by every block behind it. What a budget
    cannot get from inside the branches is taken from all groups by the same allocator.

    Attributes:
        allocator: such as `Uniform` or `GlobalThreshold`.
    """

    allocator: RatioAllocator = field(default_factory=Uniform)

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`."""
        streams = {group.name: group for group in context.graph.groups if len(group.producers) > 1}
        whole = {
            name: Bounds(streams[name].width) if name in streams else bounds
            for name, bounds in context.bounds.items()
        }
        try:
            return self.allocator.allocate(
                scores, budget, dataclasses.replace(context, bounds=whole)
            )
        except MethodError:
            return self.allocator.allocate(scores, budget, context)


class Ranking:
    """Channels of each unit from the best to the worst; equal scores keep their order.

    A unit is what gets one width: a group, or one branch of a group that is scored branch by
    branch.

    Args:
        scores: of a method.
        bounds: by group name; they hold for each of the group's branches.

    Attributes:
        scores: float [width] by unit.
    """

    def __init__(self, scores: Scores, bounds: Mapping[str, Bounds]) -> None:
        self.scores: dict[Unit, Tensor] = {}
        for name, given in scores.items():
            if isinstance(given, Mapping):
                self.scores |= {(name, module): values for module, values in given.items()}
            else:
                self.scores[name, ''] = given
        self.bounds = {unit: bounds[unit[0]] for unit in self.scores}
        self._alive = {
            unit: int((values > -math.inf).sum()) for unit, values in self.scores.items()
        }
        self._best = {
            unit: torch.argsort(values, descending=True, stable=True)
            for unit, values in self.scores.items()
        }

    def keep(self, counts: Counts) -> Keep:
        """The best channels, so many of each unit."""
        masks: Keep = {}
        for unit, best in self._best.items():
            mask = torch.zeros(len(best), dtype=torch.bool)
            mask[best[:counts[unit]]] = True
            name, module = unit
            if module:
                masks.setdefault(name, {})[module] = mask
            else:
                masks[name] = mask
        return masks

    def width(self, unit: Unit) -> int:
        """Channels that the unit has."""
        return len(self._best[unit])

    def fitted(self, unit: Unit, count: int) -> int:
        """The nearest count that its bounds allow, of the channels that are still there."""
        return min(self.bounds[unit].fitted(count, self.width(unit)), self._alive[unit])


def _ranked(order: Ranking) -> list[Unit]:
    """The unit of every channel, from the channel with the smallest score on."""
    owners = [unit for unit, values in order.scores.items() for _ in range(len(values))]
    values = torch.cat([values.flatten() for values in order.scores.values()])
    return [owners[index] for index in torch.argsort(values, stable=True).tolist()]


def _gone(order: Ranking, removed: Iterable[Unit]) -> Counts:
    """How many channels each unit has lost."""
    gone = dict.fromkeys(order.scores, 0)
    for unit in removed:
        gone[unit] += 1
    return gone


def reach(
    order: Ranking,
    budget: Budget,
    at: Callable[[int], Counts],
    *,
    steps: int,
    tolerance: float = TOLERANCE,
    near: float = GOOD_ENOUGH,
) -> Keep:
    """Bisection over ``at`` (cost falls with its argument), then single widths to the mark.

    Args:
        order: which channels go first.
        budget: the mark.
        at: widths by unit after so many steps of removal; ``at(0)`` is the widest network. They
            respect the bounds.
        steps: as many as there are.
        tolerance: of the target, the promise.
        near: of the target, where single widths are left alone.

    Raises:
        MethodError: the target lies outside what the bounds allow, between their steps, or above
            what is there.
    """
    known: dict[tuple[int, ...], float] = {}
    target = budget.target

    def cost(counts: Counts) -> float:
        key = tuple(counts.values())
        if key not in known:
            known[key] = budget.cost(order.keep(counts))
        return known[key]

    least, most = at(steps), at(0)
    if cost(least) > target * (1 + tolerance):
        raise MethodError(
            f'asked for {budget.text(target)}, but the narrowest network allowed has '
            f'{budget.text(cost(least))}; lower prune.min_channels, raise prune.max_cut, or '
            'ask for a larger share'
        )
    if cost(most) < target * (1 - tolerance):
        raise MethodError(
            f'asked for {budget.text(target)}, but the network that is cut has only '
            f'{budget.text(cost(most))}: the level above ended below this one; ask for less, or '
            'say prune.from: dense'
        )
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(at(middle)) > target else (low, middle)
    counts = most if cost(most) <= target else at(low)
    for distance in STARTS:
        start = at(min(steps, max(0, low + distance)))
        found = _closer(start, order, cost, (target, tolerance, near))
        counts = min(found, counts, key=lambda c: abs(cost(c) - target))
        if abs(cost(counts) - target) <= tolerance * target:
            break
    else:
        raise MethodError(
            f'asked for {budget.text(target)}; the nearest that whole channels can make is '
            f'{budget.text(cost(counts))}; lower prune.round_to or prune.min_channels'
        )
    return order.keep(counts)


def _closer(
    counts: Counts,
    order: Ranking,
    cost: Callable[[Counts], float],
    mark: tuple[float, float, float],
) -> Counts:
    """Change single widths by one step, the best first; pairs of widths where singles fail."""
    target, tolerance, near = mark
    while True:
        gap = abs(cost(counts) - target)
        if gap <= near * target:
            return counts
        best = _nearest(_neighbours(counts, order), cost, target)
        if best is not None and abs(cost(best) - target) < gap:
            counts = best
            continue
        if gap <= tolerance * target:
            return counts
        pairs = itertools.chain.from_iterable(
            _neighbours(first, order) for first in _neighbours(counts, order)
        )
        best = _nearest(pairs, cost, target)
        if best is None or abs(cost(best) - target) >= gap:
            return counts
        counts = best


def _neighbours(counts: Counts, order: Ranking) -> Iterable[Counts]:
    for unit, count in counts.items():
        step = order.bounds[unit].round_to
        for wanted in (count - step, count + step):
            fitted = order.fitted(unit, wanted)
            if fitted != count:
                yield {**counts, unit: fitted}


def _nearest(
    candidates: Iterable[Counts], cost: Callable[[Counts], float], target: float
) -> Counts | None:
    return min(candidates, key=lambda counts: abs(cost(counts) - target), default=None)


def group_bounds(
    width: int, tied: int, dense_width: int, *, min_channels: int, max_cut: float, step: int = 1
) -> Bounds:
    """Bounds of one group, in choices.

    Args:
        width: choices that the group has now.
        tied: channels that go with each choice.
        dense_width: choices that it had in the dense network, from which ``max_cut`` counts.
        min_channels: fewest channels.
        max_cut: largest share of ``dense_width`` that may go.
        step: choices in multiples of this (`Group.step`), the fewest too.
    """
    least = max(1, math.ceil(min_channels / tied), math.ceil((1 - max_cut) * dense_width - 1e-9))
    return Bounds(min(math.ceil(least / step) * step, width), step)
