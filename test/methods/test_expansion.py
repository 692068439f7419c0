# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A compact network in the dense shape computes the same and can be cut again."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from uav_prune_perception.channels import prune
from uav_prune_perception.methods.expansion import expanded

X = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def make() -> nn.Module:
    """Convolutions of which one computes its weight from parameters."""
    torch.manual_seed(0)
    return nn.Sequential(
        weight_norm(nn.Conv2d(3, 12, 3)), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 8, 3),
        nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4),
    ).eval()


def test_networks_that_compute_weights_expand_and_are_cut_again():
    result = prune(make(), X)
    assert result.plan.baked == ('0',)
    wide = expanded(result.model, result.plan, make())
    assert wide[0].out_channels == 12
    with torch.no_grad():
        assert torch.allclose(wide(X), result.model(X), atol=1e-5)
    again = prune(wide, X)
    assert again.model[0].out_channels == 6
    with torch.no_grad():
        assert torch.allclose(again.model(X), result.model(X), atol=1e-5)
