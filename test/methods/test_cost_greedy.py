# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Allocations that weigh what is lost against what is saved, and the table they look in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph, magnitude
from uav_prune_perception.methods import cost_greedy
from uav_prune_perception.methods.allocation import Uniform, group_bounds
from uav_prune_perception.methods.cost_greedy import CostGreedy
from uav_prune_perception.methods.interfaces import Budget, Keep, MethodError
from uav_prune_perception.methods.latency_table import LatencyTable

PICTURE = torch.zeros(1, 3, 32, 32)


def network() -> nn.Sequential:
    """Plain, depthwise and pointwise convolutions; 'big' has most of the MACs."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU(),
        nn.Conv2d(32, 64, 1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 16 * 16, 5),
    ).eval()


@pytest.fixture(scope='module')
def traced() -> tuple[nn.Module, ChannelGraph]:
    model = network()
    return model, ChannelGraph.trace(model, PICTURE, trial=False)


def context_of(model: nn.Module, graph: ChannelGraph, round_to: int = 8) -> Any:
    return SimpleNamespace(
        model=model, graph=graph, task=SimpleNamespace(example_input=lambda: PICTURE),
        bounds={
            group.name: group_bounds(
                group.width, group.tied, group.width, min_channels=4,
                step=group.step(round_to), max_cut=0.9)
            for group in graph.groups
        },
    )


def budget_of(graph: ChannelGraph, share: float) -> Budget:
    full = graph.cost().macs
    return Budget('macs', share * full, full, lambda keep: graph.cost(keep).macs)


def widths_of(graph: ChannelGraph, keep: Keep) -> dict[str, int]:
    return {group.name: int(torch.as_tensor(keep[group.name]).sum()) for group in graph.groups}


def test_every_layer_has_its_own_time(traced: tuple[nn.Module, ChannelGraph]) -> None:
    table = LatencyTable(*traced, PICTURE)
    full = traced[1].width_cost().full
    assert len(table.layer_ms) == 5
    assert (table.layer_ms > 0).all()
    assert table.ms(full) == pytest.approx(table.full_ms)
    per_mac = table.layer_ms / [macs for _, macs in traced[1].width_cost().layers]
    assert per_mac[1] > per_mac[3]  # depthwise: few MACs, and slow ones
    half = table.ms(full / 2)
    assert 0.2 * table.full_ms < half < 0.6 * table.full_ms


class Table:
    """A machine on which one layer is very slow."""

    slow = 0

    def __init__(self, model: nn.Module, graph: ChannelGraph, example: torch.Tensor) -> None:
        self._widths = graph.width_cost()
        self.layer_ms = np.ones(len(self._widths.layers))
        self.layer_ms[self.slow] = 100.0
        self.full_ms = float(self.layer_ms.sum())

    def ms(self, widths: Any) -> Any:
        return self._widths.layer_shares(widths)[0] @ self.layer_ms


@pytest.mark.parametrize('share', [0.7, 0.4])
def test_channels_go_where_time_is_saved_and_the_budget_is_met(
    traced: tuple[nn.Module, ChannelGraph], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, graph = traced
    given = {group.name: torch.ones(group.width) for group in graph.groups}
    latencies = {}
    for slow in (0, 3):
        monkeypatch.setattr(Table, 'slow', slow)
        monkeypatch.setattr(cost_greedy, 'LatencyTable', Table)
        context = context_of(model, graph, round_to=2)
        keep = CostGreedy('latency').allocate(given, budget_of(graph, share), context)
        assert graph.cost(keep).macs == pytest.approx(share * graph.cost().macs, rel=0.01)
        widths = widths_of(graph, keep)
        even = widths_of(graph, Uniform().allocate(given, budget_of(graph, share), context))
        table = Table(model, graph, PICTURE)
        order = [group.name for group in graph.groups]
        latencies[slow] = [
            float(table.ms([chosen[name] for name in order])) for chosen in (widths, even)
        ]
    for by_latency, uniform in latencies.values():
        assert by_latency < uniform


def test_macs_count_where_they_are_asked_for(traced: tuple[nn.Module, ChannelGraph]) -> None:
    model, graph = traced
    scores = magnitude(model, graph.groups, 'l1')
    keep = CostGreedy('macs').allocate(scores, budget_of(graph, 0.5), context_of(model, graph))
    assert graph.cost(keep).macs == pytest.approx(0.5 * graph.cost().macs, rel=0.01)
    assert all(
        count % 8 == 0 or count == group.width
        for count, group in zip(widths_of(graph, keep).values(), graph.groups, strict=True)
    )


def test_branches_with_widths_of_their_own_are_refused(
    traced: tuple[nn.Module, ChannelGraph],
) -> None:
    model, graph = traced
    scores = {group.name: {'a': torch.ones(group.width)} for group in graph.groups}
    with pytest.raises(MethodError, match='take global or uniform'):
        CostGreedy('macs').allocate(scores, budget_of(graph, 0.5), context_of(model, graph))
