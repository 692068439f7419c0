# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import nn

from uav_prune_perception.channels import compact, prune
from uav_prune_perception.methods.plan_chain import chained


def test_two_cuts_around_a_layer_norm_are_one_cut_of_the_dense_network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 16), nn.Linear(16, 3)
    ).eval()
    x = torch.randn(2, 8)
    first = prune(model, x, ratio=0.25)
    second = prune(first.model, x, ratio=0.5)
    small = compact(model, chained(first.plan, second.plan))
    assert second.model[0].out_features == small[0].out_features == 6
    assert torch.allclose(small(x), second.model(x), atol=1e-6)
