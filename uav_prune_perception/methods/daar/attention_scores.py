# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much a channel has to do with what its layer attends to: the two attention scores.

Both run over batches and do not change when all activations of the layer are scaled alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

STRENGTH_POWER = 0.5  # rho


class SpatialScore:
    """Agreement of a channel with its layer's spatial attention, times its strength^rho.

        a   = softmax_HW( mean_c F_c^2 / mean_HW mean_c F_c^2 )
        s_c = E[ <a, |F_c|> / (|a| |F_c|) ] * E[ mean |F_c| ]^rho

    The division inside the softmax is ours: without it the map would sharpen with the layer's
    scale. A channel that is zero everywhere agrees with nothing.
    """

    def __init__(self, power: float = STRENGTH_POWER) -> None:
        self.power = power
        self._agreement: Tensor | float = 0.0
        self._strength: Tensor | float = 0.0
        self._pictures = 0

    def see(self, features: Tensor) -> None:
        """Take in feature maps [B, C, ...]."""
        maps = features.detach().flatten(2).abs().double()
        energy = maps.square().mean(dim=1)
        attention = (energy / energy.mean(dim=1, keepdim=True).clamp_min(1e-30)).softmax(dim=1)
        unit = attention / attention.norm(dim=1, keepdim=True)
        agreement = torch.einsum('bp,bcp->bc', unit, maps)
        agreement = agreement / maps.norm(dim=2).clamp_min(1e-30)
        self._agreement = self._agreement + agreement.sum(dim=0).cpu()
        self._strength = self._strength + maps.mean(dim=2).sum(dim=0).cpu()
        self._pictures += len(features)

    def result(self) -> Tensor:
        """Float64 [C], mean 1."""
        count = max(1, self._pictures)
        strength = torch.as_tensor(self._strength) / count
        return per_mean(torch.as_tensor(self._agreement) / count * strength.pow(self.power))


class ChannelScore:
    """Mean of a channel's answer: of its gate where a probe was trained, else of |mean F_c|."""

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0

    def see(self, answers: Tensor) -> None:
        """Take in gates or pooled features [B, C]."""
        self._total = self._total + answers.detach().abs().double().sum(dim=0).cpu()

    def result(self) -> Tensor:
        """Float64 [C], mean 1."""
        return per_mean(torch.as_tensor(self._total))


def pooled(features: Tensor) -> Tensor:
    """[B, C, ...] -> [B, C], the mean over positions."""
    return features.flatten(2).mean(dim=2) if features.dim() > 2 else features


def per_mean(values: Tensor) -> Tensor:
    """Values over their mean; ones where all are zero."""
    mean = values.mean()
    return values / mean if bool(mean > 0) else torch.ones_like(values)
