# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How many channels stay in which group, so that the network costs what is asked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from .interfaces import Bounds, CostOf, Keep, MethodError, Scores

TOLERANCE = 0.01  # of the target, the promise
GOOD_ENOUGH = 0.001  # of the target, where the search stops
# Where the search for whole widths begins, in steps from where bisection ends.
STARTS = (0, 1, -4, 4, -16, 16, -64, 64)
Counts = dict[str, int]


@dataclass(frozen=True)
class GlobalThreshold:
    """One threshold for all groups: the channels with the smallest scores go, wherever they are.

    Scores must be comparable between groups.
    """

    def allocate(
        self, scores: Scores, cost: CostOf, target_macs: float, bounds: Mapping[str, Bounds]
    ) -> Keep:
        """See `RatioAllocator`."""
        order = _Order(scores)
        owners = [name for name, values in scores.items() for _ in range(len(values))]
        values = torch.cat([values.flatten() for values in scores.values()])
        ranked = [owners[index] for index in torch.argsort(values, stable=True).tolist()]

        def at(removed: int) -> Counts:
            gone = dict.fromkeys(scores, 0)
            for name in ranked[:removed]:
                gone[name] += 1
            return {
                name: bounds[name].fitted(len(scores[name]) - gone[name], len(scores[name]))
                for name in scores
            }

        return _reach(order, cost, target_macs, bounds, at, steps=len(ranked))


@dataclass(frozen=True)
class Uniform:
    """The same share of every group stays."""

    steps: int = 1000

    def allocate(
        self, scores: Scores, cost: CostOf, target_macs: float, bounds: Mapping[str, Bounds]
    ) -> Keep:
        """See `RatioAllocator`."""

        def at(removed: int) -> Counts:
            share = 1.0 - removed / self.steps
            return {
                name: bounds[name].fitted(round(share * len(values)), len(values))
                for name, values in scores.items()
            }

        return _reach(_Order(scores), cost, target_macs, bounds, at, steps=self.steps)


class _Order:
    """Channels of each group from the best to the worst; equal scores keep their order."""

    def __init__(self, scores: Scores) -> None:
        self.best = {
            name: torch.argsort(values, descending=True, stable=True)
            for name, values in scores.items()
        }

    def keep(self, counts: Counts) -> Keep:
        masks: Keep = {}
        for name, best in self.best.items():
            mask = torch.zeros(len(best), dtype=torch.bool)
            mask[best[:counts[name]]] = True
            masks[name] = mask
        return masks

    def width(self, name: str) -> int:
        return len(self.best[name])


def _reach(
    order: _Order,
    cost: CostOf,
    target: float,
    bounds: Mapping[str, Bounds],
    at: Callable[[int], Counts],
    *,
    steps: int,
) -> Keep:
    """Bisection over ``at`` (cost falls with its argument), then single widths to the mark.

    Raises:
        MethodError: the target lies outside what the bounds allow, or between their steps.
    """
    known: dict[tuple[int, ...], float] = {}

    def macs(counts: Counts) -> float:
        key = tuple(counts.values())
        if key not in known:
            known[key] = cost(order.keep(counts))
        return known[key]

    least, most = at(steps), at(0)
    if macs(least) > target * (1 + TOLERANCE):
        raise MethodError(
            f'asked for {target / 1e6:.3f} M MACs, but the narrowest network allowed has '
            f'{macs(least) / 1e6:.3f} M; lower prune.min_channels, raise prune.max_cut, or '
            'ask for a larger kept_macs'
        )
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if macs(at(middle)) > target else (low, middle)
    counts = most if macs(most) <= target else at(low)
    for distance in STARTS:
        start = at(min(steps, max(0, low + distance)))
        found = _closer(start, order, macs, target, bounds)
        counts = min(found, counts, key=lambda c: abs(macs(c) - target))
        if abs(macs(counts) - target) <= TOLERANCE * target:
            break
    else:
        raise MethodError(
            f'asked for {target / 1e6:.3f} M MACs; the nearest that whole channels can make is '
            f'{macs(counts) / 1e6:.3f} M; lower prune.round_to or prune.min_channels'
        )
    return order.keep(counts)


def _closer(
    counts: Counts,
    order: _Order,
    macs: Callable[[Counts], float],
    target: float,
    bounds: Mapping[str, Bounds],
) -> Counts:
    """Change single widths by one step, the best first; pairs of widths where singles fail."""
    while True:
        gap = abs(macs(counts) - target)
        if gap <= GOOD_ENOUGH * target:
            return counts
        best = _nearest(_neighbours(counts, order, bounds), macs, target)
        if best is not None and abs(macs(best) - target) < gap:
            counts = best
            continue
        if gap <= TOLERANCE * target:
            return counts
        pairs = itertools.chain.from_iterable(
            _neighbours(first, order, bounds) for first in _neighbours(counts, order, bounds)
        )
        best = _nearest(pairs, macs, target)
        if best is None or abs(macs(best) - target) >= gap:
            return counts
        counts = best


def _neighbours(
    counts: Counts, order: _Order, bounds: Mapping[str, Bounds]
) -> Iterable[Counts]:
    for name, count in counts.items():
        width = order.width(name)
        for wanted in (count - bounds[name].round_to, count + bounds[name].round_to):
            fitted = bounds[name].fitted(wanted, width)
            if fitted != count:
                yield {**counts, name: fitted}


def _nearest(
    candidates: Iterable[Counts], macs: Callable[[Counts], float], target: float
) -> Counts | None:
    return min(candidates, key=lambda counts: abs(macs(counts) - target), default=None)


def group_bounds(
    width: int, tied: int, dense_width: int, *, min_channels: int, round_to: int, max_cut: float
) -> Bounds:
    """Bounds of one group, in choices.

    Args:
        width: choices that the group has now.
        tied: channels that go with each choice.
        dense_width: choices that it had in the dense network, from which ``max_cut`` counts.
        min_channels: fewest channels.
        round_to: channels in multiples of this.
        max_cut: largest share of ``dense_width`` that may go.
    """
    least = max(1, math.ceil(min_channels / tied), math.ceil((1 - max_cut) * dense_width - 1e-9))
    return Bounds(min(least, width), round_to // math.gcd(round_to, tied))
