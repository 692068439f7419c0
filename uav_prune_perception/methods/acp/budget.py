# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""[ours] Widths that cost what a level asks for, within 1 %, near those that the search wants.

Every candidate of a budgeted search is mended before it is judged, so that the swarm compares
networks of equal cost and any of them may win.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from uav_prune_perception.methods.allocation import Counts, Ranking, reach
from uav_prune_perception.methods.interfaces import Bounds, Keep, LevelContext

from .space import Layer
from .swarm import Widths

ROOM = 0.9  # of the budget: narrower than this there is nothing left to choose
STEPS = 256  # from the wanted widths to either end


class BudgetMender:
    """Brings widths to the level's budget.

    The widths slide between the original ones (every group whole), those that are wanted, and
    the narrowest allowed; then single widths change until the mark is met.

    Args:
        layers: what is searched.
        context: of the level: budget and bounds.
    """

    def __init__(self, layers: Sequence[Layer], context: LevelContext) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._upper = [layer.width for layer in layers]
        bounds = {layer.name: _bounds(layer, context) for layer in layers}
        scores = {layer.name: torch.zeros(layer.width) for layer in layers}
        self._order = Ranking(scores, bounds)
        inner = context.asked
        self._budget = dataclasses.replace(inner, cost=lambda keep: inner.cost(self._spread(keep)))

    def mended(self, widths: Widths) -> Widths:
        """The widths that are judged in place of ``widths``.

        Raises:
            MethodError: the budget cannot be reached within the bounds.
        """
        order = self._order

        def at(step: int) -> Counts:
            counts: Counts = {}
            for unit, wanted, upper in zip(order.scores, widths, self._upper, strict=True):
                if step <= STEPS:
                    count = upper + (wanted - upper) * step / STEPS
                else:
                    count = wanted + (1 - wanted) * (step - STEPS) / STEPS
                counts[unit] = order.fitted(unit, round(count))
            return counts

        keep = reach(order, self._budget, at, steps=2 * STEPS)
        return tuple(int(keep[name].sum()) for name in self._layers)

    def cost(self, widths: Widths) -> float:
        """Of the network with these widths, bounds or not."""
        masks = {
            layer.name: torch.arange(layer.width) < width
            for layer, width in zip(self._layers.values(), widths, strict=True)
        }
        return self._budget.cost(masks)

    @property
    def target(self) -> float:
        """What the level may cost."""
        return self._budget.target

    def _spread(self, keep: Keep) -> Keep:
        """Masks of layers as masks of all groups that share the layer's width."""
        return {
            group.name: mask for name, mask in keep.items() for group in self._layers[name].groups
        }


def suffices(layers: Sequence[Layer], context: LevelContext) -> bool:
    """Whether the narrowest of ``layers`` alone bring the network below the budget."""
    if not layers:
        return False
    narrowest = {
        group.name: torch.arange(group.width) < context.bounds[group.name].least
        for layer in layers for group in layer.groups
    }
    return context.asked.cost(narrowest) <= ROOM * context.asked.target


def _bounds(layer: Layer, context: LevelContext) -> Bounds:
    own = [context.bounds[group.name] for group in layer.groups]
    return Bounds(max(b.least for b in own), max(b.round_to for b in own))
