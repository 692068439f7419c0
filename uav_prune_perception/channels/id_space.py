# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Channel ids: integers that name channels, and a union-find over them.

Every element of every activation carries the id of the channel it came from. Two ids that must
live and die together are *united*; an id that must not die is *frozen*, with a reason. Both are
whole-tensor operations, so a layer with a thousand channels costs one call.
"""

from __future__ import annotations

import torch
from torch import Tensor

FREE = 0
"""Id of a value that belongs to no channel (a scalar, a tensor of zeros): unites with nothing."""


class IdSpace:
    """Hands out ids, unites them, and remembers which must stay.

    ``root[i]`` is always the smallest id of the class of ``i`` (paths fully compressed), so a
    look-up is one index operation.
    """

    def __init__(self) -> None:
        self._root = torch.zeros(1, dtype=torch.int64)
        self._frozen: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return self._root.numel()

    def fresh(self, count: int) -> Tensor:
        """``count`` new ids, int64 [count]."""
        start = len(self)
        new = torch.arange(start, start + count)
        self._root = torch.cat([self._root, new])
        return new

    def canonical(self, ids: Tensor) -> Tensor:
        """The class representative of each id; constant dimensions become stride 0."""
        return compress(self._root[squeeze_constant(ids)].expand(ids.shape))

    def unite(self, first: Tensor, second: Tensor) -> None:
        """Put ``first[i]`` and ``second[i]`` (same shape) into one class; FREE is left out."""
        a, b = self._root[first.reshape(-1)], self._root[second.reshape(-1)]
        real = (a != FREE) & (b != FREE)
        a, b = a[real], b[real]
        while True:
            a, b = self._root[a], self._root[b]
            differ = a != b
            if not bool(differ.any()):
                return
            a, b = a[differ], b[differ]
            # Hang every larger root under the smallest partner it met, then flatten the chains.
            parent = torch.arange(len(self))
            parent.scatter_reduce_(0, torch.maximum(a, b), torch.minimum(a, b), 'amin')
            while not torch.equal(parent, flat := parent[parent]):
                parent = flat
            self._root = parent[self._root]

    def unite_all(self, ids: Tensor) -> None:
        """Put all of ``ids`` into one class."""
        flat = ids.reshape(-1)
        flat = torch.unique(flat[flat != FREE])
        if flat.numel() > 1:
            self.unite(flat[:-1], flat[1:])

    def freeze(self, ids: Tensor, reason: str) -> None:
        """No class that holds one of ``ids`` may be cut; the first reason given is reported."""
        for index in torch.unique(self._root[squeeze_constant(ids)]).tolist():
            if index != FREE:
                self._frozen.append((index, reason))

    def copy(self) -> IdSpace:
        """The same classes and frozen ids; uniting in one does not touch the other."""
        other = IdSpace()
        other._root, other._frozen = self._root.clone(), list(self._frozen)
        return other

    def frozen_reasons(self) -> dict[int, str]:
        """Class representative -> why it is frozen."""
        reasons: dict[int, str] = {}
        for index, reason in self._frozen:
            reasons.setdefault(int(self._root[index]), reason)
        return reasons


def squeeze_constant(ids: Tensor) -> Tensor:
    """Keep one element of each stride-0 dimension: the whole content, nothing repeated."""
    for dim in range(ids.dim()):
        if ids.stride(dim) == 0 and ids.shape[dim] > 1:
            ids = ids.narrow(dim, 0, 1)
    return ids


def compress(ids: Tensor) -> Tensor:
    """The same ids with stride 0 along every dimension where they do not vary.

    This is what makes an id tensor beside a 640 px feature map cost a few hundred bytes.
    """
    shape = ids.shape
    ids = squeeze_constant(ids)
    if ids.numel() == 0:
        return ids.expand(shape)
    for dim in range(ids.dim()):
        first = ids.narrow(dim, 0, 1)
        if ids.shape[dim] > 1 and bool((ids == first).all()):
            ids = first
    return ids.expand(shape)


def varying(ids: Tensor) -> tuple[int, ...]:
    """Dimensions along which compressed ids change."""
    return tuple(d for d in range(ids.dim()) if ids.shape[d] > 1 and ids.stride(d) != 0)
