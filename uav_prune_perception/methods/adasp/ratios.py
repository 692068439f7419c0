# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Layer ratios from what the weights are now: the four allocators of METHODS 1.4.

Each gives the share of every group that goes so that the network costs ``target``. They run in
every training iteration, so they work on widths alone (`WidthCost`); the final cut is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.channels import WidthCost
from uav_prune_perception.methods.interfaces import BudgetKind

Floats = NDArray[np.float64]
BISECTIONS = 30


@dataclass(frozen=True)
class Widths:
    """What ratios are chosen within.

    Attributes:
        cost: of widths.
        kind: what is counted.
        full: widths before pruning, [groups].
        least: fewest of each group, [groups].
    """

    cost: WidthCost
    kind: BudgetKind
    full: Floats
    least: Floats

    def price(self, widths: Floats) -> float:
        """Cost of these widths."""
        return float(self.cost.cost(self.kind, widths))

    def without(self, removed: Floats) -> Floats:
        """Widths after removing so many of each group, no more than may go."""
        return self.full - np.minimum(removed, self.full - self.least)

    def ratios(self, widths: Floats) -> Floats:
        """Share that went, [groups]."""
        return 1.0 - widths / self.full


def uniform(widths: Widths, target: float) -> Floats:
    """A0: the same share of every group (SFP and ASFP), as large as the target needs."""
    return widths.ratios(
        _bisected(lambda share: widths.without(share * widths.full), widths, target, 1.0)
    )


def by_threshold(keys: Sequence[Floats], widths: Widths, target: float) -> Floats:
    """A1 and A3: one threshold over all groups' keys, the smallest that meets the target.

    Args:
        keys: float [width] of each group, larger = keep, comparable between groups.
        widths: see `Widths`.
        target: cost.
    """
    ranked = np.sort(np.concatenate(keys))
    each = [np.sort(values) for values in keys]

    def at(index: int) -> Floats:
        if index >= len(ranked):
            return widths.without(widths.full)
        threshold = ranked[index]
        below = [np.searchsorted(values, threshold) for values in each]
        return widths.without(np.array(below, dtype=np.float64))

    low, high = -1, len(ranked)  # at(high) is within the target, if anything is
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if widths.price(at(middle)) <= target else (middle, high)
    return widths.ratios(at(high))


def cost_aware(
    energies: Sequence[Floats], alpha: float, current: Floats, widths: Widths
) -> list[Floats]:
    """A1's key: ``r_i / (c_l / mean c)^alpha``; ``c_l`` is what one filter saves at ``current``.

    ``alpha = 0`` looks at weights alone, which is closest to the paper; 1 is cost-aware.
    """
    if alpha == 0.0:
        return list(energies)
    saved = np.maximum(widths.cost.marginal(widths.kind, current), 1e-9)
    weight = (saved / saved.mean()) ** alpha
    return [energy / weight[index] for index, energy in enumerate(energies)]


def by_movement(movement: Floats, widths: Widths, target: float) -> Floats:
    """A2: inversely proportional to how much a group's filters still move, scaled to the target.

    Args:
        movement: mean of ``||dF_i|| / ||F_i||`` of each group, [groups].
        widths: see `Widths`.
        target: cost.
    """
    calm = 1.0 / np.maximum(movement, 1e-12 + 1e-6 * movement.max())
    share = calm / calm.mean()
    most = float(1.0 / share.min())
    return widths.ratios(
        _bisected(lambda k: widths.without(k * share * widths.full), widths, target, most)
    )


def _bisected(
    at: Callable[[float], Floats], widths: Widths, target: float, most: float
) -> Floats:
    low, high = 0.0, most
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if widths.price(at(middle)) <= target else (middle, high)
    return at(high)
