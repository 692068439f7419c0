# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The self-adaptive module: every channel's own share of the penalty, from its own scale.

Classical reweighted L1 (Candes, Wakin and Boyd, 2008): what is small already is pushed harder,
what is large is nearly spared.
"""

from __future__ import annotations

import torch
from torch import Tensor


def channel_weights(magnitude: Tensor, eps: float = 0.1) -> Tensor:
    """w_c = 1 / (g_c / mean(g) + eps), scaled to mean 1 within the layer; not clipped yet.

    Args:
        magnitude: g = smoothed |gamma| of one BatchNorm, [C], not negative.
        eps: bounds the push on channels that are nearly gone.

    Returns:
        [C], mean 1. A layer of zeros gets ones.
    """
    mean = magnitude.mean()
    if not bool(mean > 0):
        return torch.ones_like(magnitude)
    weights = 1.0 / (magnitude / mean + eps)
    return weights / weights.mean()


class Reweighting:
    """Smoothed magnitudes and weights of every BatchNorm of a network.

    Args:
        eps: see `channel_weights`.
        smoothing: share of the old average that an update keeps.
        clip: smallest and largest weight.
    """

    def __init__(
        self, eps: float = 0.1, smoothing: float = 0.5, clip: tuple[float, float] = (0.1, 10.0)
    ) -> None:
        self.eps, self.smoothing, self.clip = eps, smoothing, clip
        self.averages: dict[str, Tensor] = {}
        self.weights: dict[str, Tensor] = {}

    def update(self, scales: dict[str, Tensor]) -> None:
        """Take in the scales (gamma) of every layer, and renew the weights."""
        for name, scale in scales.items():
            size = scale.detach().abs()
            old = self.averages.get(name)
            average = size.clone() if old is None else torch.lerp(size, old, self.smoothing)
            self.averages[name] = average
            self.weights[name] = channel_weights(average, self.eps).clamp(*self.clip)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """For a checkpoint."""
        return {'averages': dict(self.averages), 'weights': dict(self.weights)}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        """From a checkpoint."""
        self.averages = dict(state['averages'])
        self.weights = dict(state['weights'])
