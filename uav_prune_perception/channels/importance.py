# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Magnitude importance of each choice of a group: the plain baselines."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .errors import ChannelError
from .groups import Group, Slot

NORMS = {'l1': 1, 'l2': 2}
CHUNK = 1 << 20
"""Numbers that are turned into double precision at once."""


def magnitude(model: nn.Module, groups: Sequence[Group], norm: str = 'l1') -> dict[str, Tensor]:
    """Norm of the producers' weights of each choice (Li et al. 2017), coupled producers summed.

    Args:
        model: the dense network.
        groups: ``graph.groups``.
        norm: ``l1`` or ``l2``.

    Returns:
        Group name -> float64 [width], larger = keep.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    scores: dict[str, Tensor] = {}
    for group in groups:
        total = sum(_powers(named, group, slot, norm) for slot in group.producers)
        scores[group.name] = torch.as_tensor(total).pow(1 / NORMS[norm])
    return scores


def branch_magnitude(
    model: nn.Module, groups: Sequence[Group], norm: str = 'l1'
) -> dict[str, dict[str, Tensor]]:
    """As `magnitude`, but each producer of a coupled group is scored apart.

    Returns:
        For groups with several producers: group name -> producer's module path -> float64
        [width]. Meant for residual reconstruction.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    return {
        group.name: {
            slot.module: _powers(named, group, slot, norm).pow(1 / NORMS[norm])
            for slot in group.producers
        }
        for group in groups
        if len(group.producers) > 1
    }


def _powers(named: dict[str, nn.Parameter], group: Group, slot: Slot, norm: str) -> Tensor:
    """Sum of powers of the weights that each choice takes from one producer, [width]."""
    if norm not in NORMS:
        raise ChannelError(f'importance "{norm}" is not one of {", ".join(NORMS)}')
    weight = named[slot.parameter].detach().cpu().movedim(slot.dim, 0)
    # A few filters at a time: a copy of all in double precision is 800 MB in VGG-16.
    few = max(1, CHUNK // weight[0].numel())
    filters = torch.cat([_row_powers(part, NORMS[norm]) for part in weight.split(few)])
    return filters[group.members[slot]].sum(1)


def _row_powers(weight: Tensor, power: int) -> Tensor:
    rows = weight.flatten(1).to(torch.float64)
    return rows.abs().sum(1) if power == 1 else rows.pow(power).sum(1)
