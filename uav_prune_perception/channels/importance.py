# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Magnitude importance of each choice of a group: the plain baselines."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .errors import ChannelError
from .groups import Group

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
    if norm not in NORMS:
        raise ChannelError(f'importance "{norm}" is not one of {", ".join(NORMS)}')
    power = NORMS[norm]
    named = dict(model.named_parameters(remove_duplicate=False))
    scores: dict[str, Tensor] = {}
    for group in groups:
        total = torch.zeros(group.width, dtype=torch.float64)
        for slot in group.producers:
            weight = named[slot.parameter].detach().to('cpu', torch.float64)
            filters = weight.movedim(slot.dim, 0).flatten(1).abs().pow(power).sum(1)
            total += filters[group.members[slot]].sum(1)
        scores[group.name] = total.pow(1 / power)
    return scores
