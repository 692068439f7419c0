# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Folding the constants of cut channels: exact for 1x1, a border effect behind padding."""

from __future__ import annotations

import pytest
import torch
from channel_networks import Residual
from torch import Tensor, nn

from uav_prune_perception.channels import (
    ChannelError,
    ChannelGraph,
    branch_magnitude,
    compact,
    fold_constants,
)

X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Constants(nn.Module):
    """Shifts of BatchNorm far from 0, read by convolutions of ``kernel``."""

    def __init__(self, kernel: int):
        super().__init__()
        pad = kernel // 2
        self.a, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.b, self.bn2 = nn.Conv2d(16, 12, kernel, padding=pad, bias=False), nn.BatchNorm2d(12)
        self.c = nn.Conv2d(12, 8, kernel, padding=pad)
        self.head = nn.Linear(8, 4)
        for norm in (self.bn, self.bn2):
            nn.init.uniform_(norm.bias, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.silu(self.bn(self.a(x)))
        x = torch.nn.functional.silu(self.bn2(self.b(x)))
        return self.head(self.c(x).mean((2, 3)))


def fold(kernel: int):
    torch.manual_seed(0)
    model = Constants(kernel).eval()
    graph = ChannelGraph.trace(model, X)
    plan = graph.plan({'a': range(8), 'b': range(6)})
    small = compact(model, plan)
    return fold_constants(graph, model, small, plan)


def test_exact_for_1x1():
    report = fold(1)
    assert sorted(report.folded) == ['b', 'c']
    assert report.error_before > 0.01
    assert report.error_after < 1e-6  # the weights of the compact network are float32


def test_a_border_is_left_behind_padding_and_reported():
    report = fold(3)
    assert report.error_before > 0.01
    assert 1e-6 < report.error_after < report.error_before


def test_refused_after_residual_reconstruction():
    model = Residual().eval()
    graph = ChannelGraph.trace(model, X)
    plan = graph.plan(graph.choose(branch_magnitude(model, graph.groups), 0.5))
    with pytest.raises(ChannelError, match='residual'):
        fold_constants(graph, model, compact(model, plan), plan)
