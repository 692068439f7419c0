# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage 2: which share of channels may go, in all and in each group, says feature attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .attention_probe import AttentionProbe
from .candidates import Silent
from .ratio_search import RATIOS, best_ratio, knee
from .scores import ScaleScores

GROUP_RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class RatioChoice:
    """What the search found.

    Attributes:
        ratio: r*, the share of channels that may go.
        ratios: what was tried, 0 first.
        losses: L_FA of each.
    """

    ratio: float
    ratios: tuple[float, ...]
    losses: tuple[float, ...]

    def __str__(self) -> str:
        curve = ', '.join(
            f'{ratio:.0%} {loss:.2g}'
            for ratio, loss in zip(self.ratios, self.losses, strict=True)
        )
        return f'feature attention allows {self.ratio:.0%} of the channels to go (loss: {curve})'


def choose_ratio(
    probe: AttentionProbe,
    scores: ScaleScores,
    tau: float | None = None,
    ratios: Sequence[float] = RATIOS,
) -> RatioChoice:
    """The largest global ratio that feature attention bears.

    Args:
        probe: measures.
        scores: of every producer; one threshold for all.
        tau: see `ratio_search.best_ratio`.
        ratios: ascending, above 0.
    """
    tried = (0.0, *ratios)
    losses = tuple(probe.loss(silent_at(scores, ratio)) for ratio in tried)
    return RatioChoice(best_ratio(tried, losses, tau), tried, losses)


def group_limits(
    probe: AttentionProbe,
    scores: ScaleScores,
    tau: float | None = None,
    ratios: Sequence[float] = GROUP_RATIOS,
) -> dict[str, float]:
    """The share that each group may lose while all others stay whole.

    Without ``tau`` it is the knee of the group's own curve; a group that hardly matters next to
    the others (whose worst loss is below the mean of the others' knees) is free.
    """
    curves = {
        name: [probe.loss(group_silent(name, producers, ratio)) for ratio in ratios]
        for name, producers in scores.items()
    }
    knees = {name: knee(ratios, losses) for name, losses in curves.items()}
    usual = sum(curves[name][index] for name, index in knees.items()) / max(1, len(curves))
    allowed = tau if tau is not None else usual
    return {
        name: max(
            ratios[knees[name]] if tau is None else 0.0,
            best_ratio(ratios, losses, allowed),
        )
        for name, losses in curves.items()
    }


def silent_at(scores: ScaleScores, ratio: float) -> Silent:
    """One threshold for all channels: the share ``ratio`` with the smallest scores is silent.

    At least max(4, 2 %) channels of every layer stay (METHODS.md 2.4).
    """
    every = torch.cat([each for group in scores.values() for each in group.values()])
    count = round(ratio * len(every))
    if count == 0:
        return {}
    threshold = torch.sort(every).values[count - 1]
    return {
        name: {
            module: lowest(values, int((values <= threshold).sum()))
            for module, values in producers.items()
        }
        for name, producers in scores.items()
    }


def group_silent(name: str, producers: Mapping[str, Tensor], ratio: float) -> Silent:
    """Only this group: each producer loses the share ``ratio`` of its own channels."""
    return {
        name: {
            module: lowest(values, round(ratio * len(values)))
            for module, values in producers.items()
        }
    }


def lowest(values: Tensor, count: int) -> Tensor:
    """Bool [C], the ``count`` smallest values, but max(4, 2 %) of the channels stay."""
    least = min(len(values), max(4, math.ceil(0.02 * len(values))))
    mask = torch.zeros(len(values), dtype=torch.bool)
    mask[torch.argsort(values, stable=True)[:min(count, len(values) - least)]] = True
    return mask


def protected(scores: ScaleScores, limits: Mapping[str, float]) -> ScaleScores:
    """Scores in which no group loses more than its limit before all others have lost theirs.

    The channels beyond a group's limit are lifted above every unprotected channel, in their old
    order, so any allocator with one threshold honours the limits while the budget allows, and
    gives way evenly where it does not.
    """
    top = max(float(v.max()) for each in scores.values() for v in each.values())
    lifted: ScaleScores = {}
    for name, each in scores.items():
        lifted[name] = {}
        for module, values in each.items():
            free = math.floor(limits.get(name, 1.0) * len(values) + 1e-9)
            changed = values.clone()
            changed[torch.argsort(values, stable=True)[free:]] += top
            lifted[name][module] = changed
    return lifted
