# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR's rates: what each rule cuts first, and that the budget is met within 0.5 %."""

from __future__ import annotations

import pytest
import torch
from tiny_job import Quiet

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.daar.rates import AdaptiveRates, comparable, concentration
from uav_prune_perception.methods.interfaces import Bounds, Budget, LevelContext
from uav_prune_perception.networks.aerial_detector import AerialDetector
from uav_prune_perception.networks.resnet_cifar import CifarResNet

RATES = ('redundancy', 'spread', 'concentration', 'uniform')


def test_redundancy_is_the_share_below_kappa_standard_deviations() -> None:
    scores = torch.tensor([0.1, 0.9, 1.0, 1.1, 1.2, 1.7]).double()
    values = comparable(scores * 3, 'redundancy')
    normalised = scores / scores.mean()
    for kappa in (-1.0, 0.0, 0.3, 1.0, 2.0):
        wanted = normalised < 1 - kappa * normalised.std(correction=0)
        assert torch.equal(values < -kappa, wanted)


def test_concentration_knows_the_even_and_the_lonely() -> None:
    assert concentration(torch.ones(8)) == pytest.approx(0.0, abs=1e-6)
    lonely = torch.full((8,), 1e-12)
    lonely[3] = 1.0
    assert concentration(lonely) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize('rate', RATES)
def test_every_rule_keeps_the_order_within_a_layer(rate: str) -> None:
    scores = torch.rand(32, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(comparable(scores, rate).argsort(), scores.argsort())
    assert bool(torch.isfinite(comparable(torch.ones(4), rate)).all()), 'all alike'


def test_a_layer_with_one_loud_channel_loses_more_than_an_even_one() -> None:
    even, loud = torch.linspace(0.95, 1.05, 20), torch.full((20,), 0.5)
    loud[7] = 10.5
    for rate in ('spread', 'concentration'):
        one, other = comparable(loud, rate), comparable(even, rate)
        threshold = torch.cat([one, other]).sort().values[19]
        assert int((one <= threshold).sum()) > int((other <= threshold).sum())


@pytest.mark.parametrize('rate', RATES)
@pytest.mark.parametrize(('network', 'share'), [('resnet', 0.16), ('detector', 0.5)])
def test_the_budget_is_met_within_half_a_percent(rate: str, network: str, share: float) -> None:
    model = {
        'resnet': lambda: CifarResNet(10, depth=20),
        'detector': lambda: AerialDetector(4),
    }[network]()
    graph = GRAPHS.setdefault(
        network, ChannelGraph.trace(model.eval(), torch.rand(1, 3, 32, 32), trial=False)
    )
    generator = torch.Generator().manual_seed(1)
    scores = {g.name: torch.rand(g.width, generator=generator) for g in graph.groups}
    full = graph.cost().macs
    budget = Budget('macs', share * full, full, lambda keep: graph.cost(keep).macs)
    context = LevelContext(
        model=model, graph=graph, task=None, bounds={g.name: Bounds(2) for g in graph.groups},
        budget=budget, level='x', seed=0, reporter=Quiet(), dense=None, dense_cost=graph.cost(),
    )
    keep = AdaptiveRates(rate).allocate(scores, budget, context)
    assert budget.miss(keep) <= 0.005


GRAPHS: dict[str, ChannelGraph] = {}
