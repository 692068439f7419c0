# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage 2: which share of all channels may go, says feature attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from .attention_probe import AttentionProbe
from .candidates import Silent
from .ratio_search import RATIOS, best_ratio
from .scores import ScaleScores

K = TypeVar('K', bound=Hashable)


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


def silent_at(scores: ScaleScores, ratio: float) -> Silent:
    """One threshold for all channels: the share ``ratio`` with the smallest scores is silent.

    At least max(4, 2 %) channels of every layer stay (METHODS.md 2.4).
    """
    flat = {(n, m): values for n, each in scores.items() for m, values in each.items()}
    masks = threshold_masks(flat, ratio, lambda width: max(4, math.ceil(0.02 * width)))
    silent: dict[str, dict[str, Tensor]] = {}
    for (name, module), mask in masks.items():
        silent.setdefault(name, {})[module] = mask
    return silent


def threshold_masks(
    scores: Mapping[K, Tensor], ratio: float, least: Callable[[int], int]
) -> dict[K, Tensor]:
    """Bool masks of the share ``ratio`` of all channels that score least.

    Args:
        scores: float [width] by unit.
        ratio: 0..1, of all units' channels together.
        least: channels of a unit that stay, by its width.
    """
    every = torch.sort(torch.cat(list(scores.values()))).values
    count = round(ratio * len(every))
    threshold = float(every[count - 1]) if count else -math.inf
    masks: dict[K, Tensor] = {}
    for unit, values in scores.items():
        gone = min(int((values <= threshold).sum()), max(0, len(values) - least(len(values))))
        masks[unit] = torch.zeros(len(values), dtype=torch.bool)
        masks[unit][torch.argsort(values, stable=True)[:gone]] = True
    return masks
