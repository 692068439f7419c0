# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Channels go where the least importance is lost for each millisecond, or MAC, that is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.channels.width_cost import Floats

from .allocation import TOLERANCE, Counts, Ranking, Unit, reach
from .interfaces import Budget, Keep, LevelContext, MethodError, Scores
from .latency_table import LatencyTable

PARTS = 32  # of a group at most go one after the other; smaller steps change nothing
AHEAD = 4  # steps that are looked ahead: an engine may save nothing on one, and much on the next


class CostGreedy:
    """Greedy knapsack: importance per cost, on foreseen latency (as HALP does) or on MACs.

    Steps are of ``prune.round_to`` channels, up to `AHEAD` at once. What a step saves depends on
    the widths around it and is computed anew after each. Scores must be comparable between groups.

    HALP: Shen et al., Structural Pruning via Latency-Saliency Knapsack, NeurIPS 2022. Its knapsack
    over groups of channels is solved greedily here, on a table from one profile
    (`latency_table`).

    Args:
        kind: what counts as the cost.
    """

    def __init__(self, kind: Literal['latency', 'macs']) -> None:
        self.kind = kind
        self._table: tuple[ChannelGraph, LatencyTable] | None = None

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`.

        Raises:
            MethodError: branches with widths of their own, or see `reach`.
        """
        order = Ranking(scores, context.bounds)
        if any(module for _, module in order.scores):
            raise MethodError(
                f'prune.allocation: {self.kind} cannot give branches widths of their own; take '
                'global or uniform'
            )
        removed = self._removals(order, context)

        def at(steps: int) -> Counts:
            counts = {unit: order.fitted(unit, order.width(unit)) for unit in order.scores}
            for unit, count in removed[:steps]:
                counts[unit] = count
            return counts

        # Widths were chosen for their cost: none is changed for the sake of the last percent.
        return reach(order, budget, at, steps=len(removed), near=TOLERANCE)

    def _removals(self, order: Ranking, context: LevelContext) -> list[tuple[Unit, int]]:
        """(unit, its width afterwards), in the order of least loss for what is saved."""
        price = self._price(context)
        units: list[Unit] = [(group.name, '') for group in context.graph.groups]
        worth = [_worth_of_best(order, unit) for unit in units]
        widths = np.array([order.fitted(unit, order.width(unit)) for unit in units], np.float64)
        removed: list[tuple[Unit, int]] = []
        while True:
            trials = [
                (place, after) for place, unit in enumerate(units)
                for after in _narrower(order, unit, int(widths[place]))
            ]
            if not trials:
                return removed
            tried = np.repeat(widths[None], len(trials), axis=0)
            for row, (place, after) in enumerate(trials):
                tried[row, place] = after
            saved = price(widths) - price(tried)
            lost = np.array([
                worth[place][int(widths[place])] - worth[place][after] for place, after in trials
            ])
            place, after = trials[int(np.argmin(lost / np.maximum(saved, 1e-12)))]
            widths[place] = after
            removed.append((units[place], after))

    def _price(self, context: LevelContext) -> Callable[[ArrayLike], Floats]:
        if self.kind == 'macs':
            formula = context.graph.width_cost()
            full = float(formula.cost('macs', formula.full))
            return lambda widths: formula.cost('macs', widths) / full
        if self._table is None or self._table[0] is not context.graph:
            example = context.task.example_input()
            self._table = context.graph, LatencyTable(context.model, context.graph, example)
        table = self._table[1]
        return lambda widths: table.ms(widths) / table.full_ms


def _worth_of_best(order: Ranking, unit: Unit) -> Floats:
    """[width + 1]: the sum of the n best scores."""
    values = np.sort(order.scores[unit].numpy())[::-1]
    return np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(values), values, 0.0))])


def _narrower(order: Ranking, unit: Unit, width: int) -> list[int]:
    """The next smaller widths that the bounds allow, the widest first; none at the least."""
    bounds = order.bounds[unit]
    step = max(1, -(-order.width(unit) // PARTS // bounds.round_to)) * bounds.round_to
    found: list[int] = []
    while width > bounds.least and len(found) < AHEAD:
        width = max(bounds.least, (width - 1) // step * step)
        found.append(width)
    return found
