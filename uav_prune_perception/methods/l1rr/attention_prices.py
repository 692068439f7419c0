# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What each channel is worth: feature attention lost for each multiply-accumulate saved.

Where a level has a budget, one threshold over raw |gamma| empties the layers whose scales happen
to be small. Instead each group's curve of L_FA over its own ratio, measured by forward passes, is
set against the MACs (or parameters) that the ratio saves; the slope of its convex hull is the
price of the channels there, and the cheapest go first, wherever they are. That is the exact
minimum of the sum of L_FA over groups for a budget, if losses of groups add up (Shoham and Gersho,
1988, for bit allocation). That L1RR's ratios come from feature attention is the paper's; this
form of it is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from uav_prune_perception.methods.interfaces import Keep

from .candidates import Silent
from .ratio_choice import threshold_masks
from .scores import ScaleScores

RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
LEAST = 2  # channels of a producer that a trial leaves


def attention_prices(
    scores: ScaleScores,
    loss: Callable[[Silent], float],
    cost: Callable[[Keep], float],
    ratios: Sequence[float] = RATIOS,
) -> ScaleScores:
    """Prices in place of |gamma|; within each producer they keep its order.

    Args:
        scores: |gamma|; says which channels of a group go first.
        loss: L_FA with channels silenced.
        cost: of the network with what is kept.
        ratios: tried for each group, 0 first.
    """
    full = cost({})
    return {
        name: _priced(each, _hull(*_curve(name, each, (loss, cost, full), ratios)), ratios)
        for name, each in scores.items()
    }


def _curve(
    name: str,
    each: Mapping[str, Tensor],
    measure: tuple[Callable[[Silent], float], Callable[[Keep], float], float],
    ratios: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Saved share of the cost, and loss, at each ratio; both made to rise."""
    loss, cost, full = measure
    saved, losses = [0.0], [0.0]
    for ratio in ratios[1:]:
        gone = threshold_masks(each, ratio, lambda width: LEAST)
        kept = {module: ~mask for module, mask in gone.items()}
        saving = 1.0 - cost({name: kept.get('', kept)}) / full
        saved.append(max(saved[-1], saving))
        losses.append(max(losses[-1], loss({name: gone})))
    return saved, losses


def _hull(saved: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Slope of the lower convex hull in each interval: rising."""
    pieces: list[tuple[float, float, int]] = []
    for index in range(1, len(saved)):
        piece = (saved[index] - saved[index - 1], losses[index] - losses[index - 1], 1)
        while pieces and _slope(pieces[-1]) >= _slope(piece):
            last = pieces.pop()
            piece = (last[0] + piece[0], last[1] + piece[1], last[2] + piece[2])
        pieces.append(piece)
    return [_slope(piece) for piece in pieces for _ in range(piece[2])]


def _slope(piece: tuple[float, float, int]) -> float:
    return piece[1] / max(piece[0], 1e-9)


def _priced(
    each: Mapping[str, Tensor], slopes: Sequence[float], ratios: Sequence[float]
) -> dict[str, Tensor]:
    """The price of every channel by its place among all of the group's channels."""
    every = torch.cat(list(each.values()))
    place = torch.argsort(torch.argsort(every, stable=True)).double()
    beyond = 3.0 * slopes[-1] + 1e-6  # more than was tried: the last to go
    table = torch.tensor([*slopes, beyond], dtype=torch.float64)
    interval = torch.bucketize(
        place / len(every), torch.tensor(ratios[1:], dtype=torch.float64), right=True
    )
    # The place breaks ties, so that a group goes in its own order
    prices = table[interval] + 1e-9 * place
    sizes = [len(values) for values in each.values()]
    return dict(zip(each, prices.split(sizes), strict=True))
