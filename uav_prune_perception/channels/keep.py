# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which choices of each group stay: reading what callers give, and making it from scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .errors import ChannelError
from .groups import Group

Keep = Mapping[str, Any]
"""Group name -> kept indices (sequence or int tensor) or bool mask [width]. Absent: keep all.

For residual reconstruction: group name -> {producer's module path: kept indices or mask}.
"""


def one_mask(name: str, width: int, kept: Any) -> Tensor:
    """Kept indices, or a mask, as bool [width].

    Raises:
        ChannelError: wrong length, index out of range, or nothing kept.
    """
    given = torch.as_tensor(kept)
    if given.dtype == torch.bool:
        if given.shape != (width,):
            raise ChannelError(f'{name}: mask of {tuple(given.shape)} for width {width}')
        mask = given.cpu()
    else:
        indices = given.to('cpu', torch.int64).reshape(-1)
        if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= width):
            raise ChannelError(f'{name}: a kept index is outside 0..{width - 1}')
        mask = torch.zeros(width, dtype=torch.bool)
        mask[indices] = True
    if not bool(mask.any()):
        raise ChannelError(f'{name}: keeps nothing; keep at least one of its {width} channels')
    return mask


def round_count(
    group: Group, count: float, *, round_to: int | None = None, minimum: int = 1
) -> int:
    """A number of choices that is allowed: whole, at least ``minimum``, at most the width.

    Args:
        group: the group.
        count: wanted number of choices (may be fractional).
        round_to: the producers' channels become a multiple of it (nearest, never 0); a width
            that cannot be reached that way is kept whole.
        minimum: fewest channels of a producer.
    """
    wanted = max(1, round(count), math.ceil(minimum / group.tied))
    if round_to and round_to > 1:
        step = group.step(round_to)
        wanted = max(step, round(wanted / step) * step)
        while wanted * group.tied < minimum:
            wanted += step
    return min(wanted, group.width)


def choose_keep(
    groups: Sequence[Group],
    scores: Mapping[str, Tensor | Mapping[str, Tensor]],
    counts: Mapping[str, float] | float,
    *,
    round_to: int | None = None,
    minimum: int = 1,
) -> dict[str, Any]:
    """Keep the best-scored choices of each group.

    Args:
        groups: ``graph.groups``.
        scores: group name -> float [width], larger = keep. Ties are already inside a choice:
            score a choice by whatever of its channels. {producer's module: float [width]} in
            place of one tensor chooses for each branch apart (residual reconstruction).
        counts: group name -> number of choices to keep, or one fraction (0..1] kept in all.
            Groups without a score or a count are kept whole.
        round_to: see `round_count`.
        minimum: see `round_count`.

    Returns:
        Group name -> sorted kept indices, int64 (or {producer's module: kept indices}); valid
        for ``graph.plan`` and ``graph.cost``.
    """
    keep: dict[str, Any] = {}
    for group in groups:
        given = scores.get(group.name)
        each = counts.get(group.name) if isinstance(counts, Mapping) else counts * group.width
        if each is None or given is None:
            continue
        count = round_count(group, each, round_to=round_to, minimum=minimum)
        if isinstance(given, Mapping):
            keep[group.name] = {name: _best(group, s, count) for name, s in given.items()}
        else:
            keep[group.name] = _best(group, given, count)
    return keep


def _best(group: Group, score: Tensor, count: int) -> Tensor:
    score = score.detach().to('cpu', torch.float64)
    if score.shape != (group.width,):
        raise ChannelError(
            f'{group.name}: scores of shape {tuple(score.shape)} for width {group.width}'
        )
    order = torch.argsort(score, descending=True, stable=True)
    return torch.sort(order[:count]).values
