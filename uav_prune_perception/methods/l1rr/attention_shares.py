# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What each channel is worth: the feature attention loss at which it goes.

Where a level has a budget, one threshold over raw |gamma| empties the layers whose scales happen
to be small. Instead every group may be cut to the largest ratio at which L_FA, measured by forward
passes with that group alone silenced, stays within one tau (the rule of `ratio_search`, group by
group); the budget decides tau. That L1RR's ratios come from feature attention is the paper's; this
form of it is ours.

L_FA does not rise without end: attention has unit length, and of a layer that is broken already
the rest seems to cost nothing. Trading its slope against the MACs that are saved (what we did
before) therefore emptied whole layers. And no single layer may be emptied because it
alone is not missed, for the layers around it are cut too: beyond three quarters all groups go
alike, when nothing else is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from .candidates import Silent
from .ratio_choice import threshold_masks
from .scores import ScaleScores

RATIOS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
LEAST = 2  # channels of a producer that a trial leaves
BEYOND = 1e12  # above every loss


def attention_losses(
    scores: ScaleScores, loss: Callable[[Silent], float], ratios: Sequence[float] = RATIOS,
    tell: Callable[[int], None] = lambda groups: None,
) -> ScaleScores:
    """Losses in place of |gamma|; within each group they keep its order.

    Args:
        scores: |gamma|; says which channels of a group go first.
        loss: L_FA with channels silenced.
        ratios: tried for each group, 0 first; between them the loss is interpolated.
        tell: is given the number of groups that are done: a large network takes long.
    """
    prices: ScaleScores = {}
    for name, each in scores.items():
        prices[name] = _priced(each, _curve(name, each, loss, ratios), ratios)
        tell(len(prices))
    return prices


def _curve(
    name: str, each: Mapping[str, Tensor], loss: Callable[[Silent], float],
    ratios: Sequence[float],
) -> list[float]:
    """L_FA at each ratio, made to rise."""
    losses = [0.0]
    for ratio in ratios[1:]:
        gone = threshold_masks(each, ratio, lambda width: LEAST)
        losses.append(max(losses[-1], loss({name: gone})))
    return losses


def _priced(
    each: Mapping[str, Tensor], losses: Sequence[float], ratios: Sequence[float]
) -> dict[str, Tensor]:
    """The loss of every channel by its place among all of the group's channels."""
    every = torch.cat(list(each.values()))
    place = torch.argsort(torch.argsort(every, stable=True)).double()
    share = (place + 1) / len(every)
    tried = torch.from_numpy(np.interp(share.numpy(), ratios, losses))
    # The place breaks ties, so that a group goes in its own order
    prices = torch.where(share <= ratios[-1], tried + 1e-9 * place, BEYOND + share)
    sizes = [len(values) for values in each.values()]
    return dict(zip(each, prices.split(sizes), strict=True))
