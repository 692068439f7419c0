# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A compact network as a dense-shaped one again, with zeros where it was cut.

Residual reconstruction leaves paddings and gathers behind, of which no channel can be cut again.
The next level of a ladder is therefore chosen in the dense network's shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import PruningPlan
from uav_prune_perception.channels.baked import bake


@torch.no_grad()
def expanded(small: nn.Module, plan: PruningPlan, dense: nn.Module) -> nn.Module:
    """``dense`` with the weights of ``small``, and zeros for what ``plan`` cut.

    Computes what ``small`` computes: a cut filter and its BatchNorm are 0 (its variance 1).

    Args:
        small: ``compact(..., plan)``, perhaps trained since.
        plan: from the dense network to ``small``, branches included.
        dense: a network of the dense shape, filled in place.

    Returns:
        ``dense``; layers whose weight was computed are plain ones in it, as in ``small``.
    """
    bake(dense, plan.baked)
    kept: dict[str, dict[int, tuple[int, ...]]] = {}
    for cut in plan.cuts:
        kept.setdefault(cut.parameter, {})[cut.dim] = cut.kept
    values = dict(small.state_dict())
    for path in (*plan.placements, *plan.wide):
        for name in [name for name in values if name.startswith(f'{path}.inner.')]:
            values[f'{path}.{name[len(path) + 7:]}'] = values.pop(name)
    for name, target in dense.state_dict().items():
        if name not in kept:
            target.copy_(values[name])
            continue
        # A running variance of 0 would divide by almost nothing once the channel is trained again
        target.fill_(1.0 if name.endswith('running_var') else 0.0)
        target[_grid(kept[name], target)] = values[name].to(target)
    return dense


def _grid(kept: Mapping[int, Sequence[int]], target: Tensor) -> tuple[Tensor, ...]:
    dims = [
        torch.tensor(kept.get(dim, range(size)), device=target.device)
        for dim, size in enumerate(target.shape)
    ]
    return torch.meshgrid(*dims, indexing='ij')
