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
    weight = named[slot.parameter].detach().to('cpu', torch.float64)
    filters = weight.movedim(slot.dim, 0).flatten(1).abs().pow(NORMS[norm]).sum(1)
    return filters[group.members[slot]].sum(1)
