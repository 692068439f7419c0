# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which channel can go next, and what the others must take over from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .readings import Reading

DAMPING = 1e-3  # of the mean of the moments' diagonal, so that silent channels can be inverted


def elimination_scores(readings: Sequence[Reading], width: int) -> Tensor:
    """Greedy elimination of the choices of one group.

    In each step the choice goes whose loss, after the remaining ones have taken over what they
    can, changes the readers' outputs least (optimal brain surgeon, Hassibi and Stork 1992, with
    the layer's own output as the objective: Frantar and Alistarh, Optimal Brain Compression,
    NeurIPS 2022; here on whole channels and with one mixing for all kernel taps).

    Args:
        readings: of the group.
        width: its choices.

    Returns:
        float64 [width]: relative squared error of the readers' outputs at which a choice goes
        (never falls from one elimination to the next, so the order is the scores' order).
    """
    states = [_State(reading) for reading in readings if reading.energy > 0]
    if not states:
        return torch.zeros(width, dtype=torch.float64)
    scores = torch.zeros(width, dtype=torch.float64)
    alive = torch.ones(width, dtype=torch.bool)
    total = 0.0
    for step in range(width):
        costs = torch.stack([state.costs(width) for state in states]).sum(0) / len(states)
        costs[~alive] = torch.inf
        gone = int(costs.argmin())
        total += max(0.0, float(costs[gone]))
        # The tiny slope keeps the order where nothing is lost.
        scores[gone] = total + 1e-12 * step
        alive[gone] = False
        for state in states:
            state.eliminate(gone)
    return scores


def taken_over(reading: Reading, keep: Tensor) -> Tensor:
    """The reader's weight on all channels, after the kept ones took over from the others.

    Least squares: each lost channel is predicted from the kept ones; the prediction is folded
    into the weights. Padding with zeros stays exact, for the prediction has no constant.

    Args:
        reading: how the layer reads the group.
        keep: bool [width], the choices that stay.

    Returns:
        float64 [rows, channels]; columns of lost channels are 0.
    """
    kept = keep[reading.choice]
    weight = torch.zeros_like(reading.weight)
    if bool(kept.all()):
        return reading.weight.clone()
    moments = _damped(reading.moments)
    inner, cross = moments[kept][:, kept], moments[kept][:, ~kept]
    mixing = torch.linalg.solve(inner, cross)  # [kept, lost]
    weight[:, kept] = reading.weight[:, kept] + reading.weight[:, ~kept] @ mixing.T
    return weight


def _damped(moments: Tensor) -> Tensor:
    mean = float(moments.diagonal().mean())
    return moments + (DAMPING * mean + 1e-30) * torch.eye(len(moments), dtype=moments.dtype)


class _State:
    """Weights and inverse moments of one reading, as choices go."""

    def __init__(self, reading: Reading) -> None:
        self.weight = reading.weight.clone()
        self.inverse = torch.linalg.inv(_damped(reading.moments))
        self.choice = reading.choice
        self.energy = reading.energy

    def costs(self, width: int) -> Tensor:
        """Relative error that losing each choice adds: float64 [width].

        Channels of one choice are added up as if apart; `eliminate` is exact.
        """
        diagonal = self.inverse.diagonal().clamp_min(1e-30)
        each = self.weight.square().sum(0) / diagonal
        return torch.zeros(width, dtype=each.dtype).index_add(0, self.choice, each) / self.energy

    def eliminate(self, gone: int) -> None:
        """Take a choice out; the rest of the weights takes over."""
        lost = self.choice == gone
        if not bool(lost.any()):
            return
        rows = self.inverse[lost]  # [lost, channels]
        gain = torch.linalg.solve(rows[:, lost], rows)
        self.weight = self.weight - self.weight[:, lost] @ gain
        self.weight[:, lost] = 0.0
        inverse = self.inverse - rows.T @ gain
        inverse[lost] = 0.0
        inverse[:, lost] = 0.0
        # A lost channel costs nothing more and divides by no zero.
        inverse[lost, lost] = 1.0
        self.inverse = inverse
