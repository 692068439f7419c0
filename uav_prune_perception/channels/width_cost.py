# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cost as a formula of widths alone: fast enough to be asked in every training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .cost import CostModel
from .groups import Group

Floats = NDArray[np.float64]


class WidthCost:
    """MACs and parameters of a network whose groups have given widths, many at once.

    Every factor of every term (a convolution's input channels, a weight's rows) is a constant
    plus so many entries for each choice of a group, so no mask is needed. Exact as long as a
    choice counts alike wherever it appears; only indices that several channels share
    (interleaved concatenations before a grouped layer) are approximated.

    Args:
        model: the network's cost model.
        groups: ``graph.groups``; widths are given in this order.
    """

    def __init__(self, model: CostModel, groups: Sequence[Group]) -> None:
        self._group_of = {
            int(id_): index for index, group in enumerate(groups) for id_ in group.classes
        }
        self._work = [work for work, _ in model.work]
        self._widths = np.array([group.width for group in groups], dtype=np.float64)
        macs = [
            (work.constant, [self._line(ids) for ids in factors]) for work, factors in model.work
        ]
        params = [
            (1.0, [self._dimension(model, name, dim, size) for dim, size in enumerate(shape)])
            for name, shape in model.shapes.items()
        ]
        self._last = np.array([max(0, len(factors) - 1) for _, factors in macs], dtype=np.int64)
        self._terms = {'macs': _Terms(macs, len(groups)), 'params': _Terms(params, len(groups))}

    @property
    def full(self) -> Floats:
        """The dense widths, float64 [groups]."""
        return self._widths.copy()

    def cost(self, kind: Literal['macs', 'params'], widths: ArrayLike) -> Floats:
        """Cost for widths of shape [..., groups] -> [...]."""
        return self._terms[kind].value(np.asarray(widths, dtype=np.float64))

    def marginal(self, kind: Literal['macs', 'params'], widths: ArrayLike) -> Floats:
        """What one choice less of each group saves at these widths: [groups] -> [groups]."""
        widths = np.asarray(widths, dtype=np.float64)
        fewer = widths - np.eye(len(widths))
        return self.cost(kind, widths) - self.cost(kind, fewer)

    @property
    def layers(self) -> list[tuple[str, float]]:
        """What MACs are counted for: parameter with the weights ('' = none), dense MACs."""
        macs = self._terms['macs'].by_term(self._widths)
        return [(work.weight or '', float(n)) for work, n in zip(self._work, macs, strict=True)]

    def layer_shares(self, widths: ArrayLike) -> tuple[Floats, Floats]:
        """What widths of shape [..., groups] keep of every layer: [..., layers] each.

        Returns:
            The share of its MACs, and of its outputs' channels.
        """
        terms = self._terms['macs']
        kept = terms.factors(np.asarray(widths, dtype=np.float64)) / terms.factors(self._widths)
        outputs = np.take_along_axis(
            kept, np.broadcast_to(self._last[:, None], (*kept.shape[:-1], 1)), axis=-1
        )
        return kept.prod(axis=-1), outputs[..., 0]

    def _line(self, ids: Tensor) -> tuple[float, Floats]:
        """(constant, entries for each choice of each group) of a count of alive ``ids``."""
        slope = np.zeros(len(self._widths))
        constant = 0.0
        first = ids if ids.dim() == 1 else ids[:, 0]
        for id_ in first.tolist():
            group = self._group_of.get(id_)
            if group is None:
                constant += 1
            else:
                slope[group] += 1
        return constant, slope / np.maximum(self._widths, 1)

    def _dimension(
        self, model: CostModel, name: str, dim: int, size: int
    ) -> tuple[float, Floats]:
        ids = model.slots.get((name, dim))
        return (float(size), np.zeros(len(self._widths))) if ids is None else self._line(ids)


class _Terms:
    """Sum over terms of constant * product over factors of (base + slope . widths)."""

    def __init__(self, terms: list[tuple[float, list[tuple[float, Floats]]]], groups: int) -> None:
        most = max((len(factors) for _, factors in terms), default=1)
        self.constant = np.array([constant for constant, _ in terms])
        self.base = np.ones((len(terms), most))
        self.slope = np.zeros((len(terms), most, groups))
        for row, (_, factors) in enumerate(terms):
            for column, (base, slope) in enumerate(factors):
                self.base[row, column], self.slope[row, column] = base, slope

    def value(self, widths: Floats) -> Floats:
        result: Floats = self.factors(widths).prod(axis=-1) @ self.constant
        return result

    def by_term(self, widths: Floats) -> Floats:
        result: Floats = self.factors(widths).prod(axis=-1) * self.constant
        return result

    def factors(self, widths: Floats) -> Floats:
        result: Floats = self.base + np.einsum('tfg,...g->...tf', self.slope, widths)
        return result
