# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network costs, as a formula of which channels are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .walk import IdWalk


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of one forward of the example inputs, and parameters.

    MACs count convolutions, linear layers and matrix products, as ``torch.utils.flop_counter``
    does (which counts two operations for each).
    """

    macs: float
    params: int

    def __str__(self) -> str:
        return f'{self.macs / 1e6:,.1f} M MACs, {self.params / 1e6:,.3f} M parameters'


class CostModel:
    """Counts kept ids in every factor of every node and parameter: no forward is needed."""

    def __init__(self, walk: IdWalk, model: nn.Module) -> None:
        canonical = walk.space.canonical
        self.work = [(w, [canonical(ids) for ids in w.factors]) for w in walk.work]
        self.slots = {key: canonical(ids) for key, ids in walk.slots.items()}
        self.shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}

    def cost(self, dead: Tensor, own: Mapping[str, int] | None = None) -> Cost:
        """Cost without some classes.

        Args:
            dead: bool [number of ids].
            own: parameter -> entries kept in dimension 0, where a branch keeps fewer than its
                stream (residual reconstruction).
        """
        alive, own = ~dead, own or {}
        macs = math.fsum(
            work.constant
            * math.prod(
                own[work.weight] if index == 1 and work.weight in own else count_kept(alive[ids])
                for index, ids in enumerate(factors)
            )
            for work, factors in self.work
        )
        params = sum(
            math.prod(
                own[name] if dim == 0 and name in own else self._kept(name, dim, size, alive)
                for dim, size in enumerate(shape)
            )
            for name, shape in self.shapes.items()
        )
        return Cost(macs, params)

    def _kept(self, name: str, dim: int, size: int, alive: Tensor) -> int:
        ids = self.slots.get((name, dim))
        return size if ids is None else count_kept(alive[ids])


def count_kept(alive: Tensor) -> int:
    """True entries of [n]; of [n, k] (an index that several channels share), those with any."""
    return int((alive.any(1) if alive.dim() == 2 else alive).sum())
