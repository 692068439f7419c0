# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network costs, as a formula of which channels are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
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
        self._size = len(walk.space)
        self._work = [(w.constant, [canonical(ids) for ids in w.factors]) for w in walk.work]
        self._parameters: list[tuple[int, list[Tensor]]] = []
        for name, parameter in model.named_parameters():
            dims = [d for d in range(parameter.dim()) if (name, d) in walk.slots]
            self._parameters.append(
                (
                    parameter.numel() // max(1, math.prod(parameter.shape[d] for d in dims)),
                    [canonical(walk.slots[name, d]) for d in dims],
                )
            )

    def cost(self, dead: Iterable[Tensor]) -> Cost:
        """Cost without the classes ``dead`` (int64 tensors of class representatives)."""
        alive = torch.ones(self._size, dtype=torch.int64)
        for classes in dead:
            alive[classes] = 0
        macs = math.fsum(
            constant * math.prod(count_kept(alive[ids]) for ids in factors)
            for constant, factors in self._work
        )
        params = sum(
            constant * math.prod(count_kept(alive[ids]) for ids in factors)
            for constant, factors in self._parameters
        )
        return Cost(macs, params)


def count_kept(alive: Tensor) -> int:
    """True entries of [n]; of [n, k] (an index that several channels share), those with any."""
    return int((alive.any(1) if alive.dim() == 2 else alive).sum())
