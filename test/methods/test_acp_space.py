# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which widths ACP searches, and which filters a candidate takes over."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, magnitude
from uav_prune_perception.methods.acp.budget import BudgetMender
from uav_prune_perception.methods.acp.run import fresh_batchnorm
from uav_prune_perception.methods.acp.space import inherited, searched_layers
from uav_prune_perception.methods.interfaces import Bounds, Budget, LevelContext
from uav_prune_perception.methods.judging import with_weights
from uav_prune_perception.networks.resnet_cifar import CifarResNet


class Bottleneck(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4 * width, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1), nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y))))))


def bottlenecks() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), Bottleneck(8), Bottleneck(8), nn.Conv2d(32, 6, 1)
    ).eval()


def traced(model: nn.Module) -> ChannelGraph:
    return ChannelGraph.trace(model, torch.rand(1, 3, 16, 16), trial=False)


def test_a_basic_block_gives_its_first_convolution() -> None:
    for shortcut in 'AB':
        model = CifarResNet(4, depth=8, shortcut=shortcut).eval()
        layers = searched_layers(model, traced(model))
        assert [layer.name for layer in layers] == [f'layer{i}.0.conv1' for i in (1, 2, 3)]


def test_the_two_convolutions_of_a_bottleneck_share_one_width() -> None:
    model = bottlenecks()
    layers = searched_layers(model, traced(model))
    assert [[group.name for group in layer.groups] for layer in layers] == [
        ['1.conv1', '1.conv2'], ['2.conv1', '2.conv2']
    ]
    keep = inherited(layers, (3, 5), 'random_pretrain', {}, seed=1)
    assert [int(mask.sum()) for mask in keep.values()] == [3, 3, 5, 5]


def test_a_plain_chain_gives_every_convolution_a_width_of_its_own() -> None:
    model = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 3) for i in range(4))).eval()
    names = [layer.name for layer in searched_layers(model, traced(model))]
    assert names == ['0', '1', '2'], 'the last one is the output'


def test_filters_are_drawn_by_the_candidates_seed_or_taken_by_norm() -> None:
    model = bottlenecks()
    graph = traced(model)
    layers = searched_layers(model, graph)
    one, same, other = (
        inherited(layers, (4, 4), 'random_pretrain', {}, seed) for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    norms = magnitude(model, graph.groups, 'l1')
    best = inherited(layers, (4, 4), 'l1_pretrain', norms, seed=1)['1.conv1']
    assert norms['1.conv1'][best].min() >= norms['1.conv1'][~best].max()


def test_as_released_batchnorm_starts_anew_and_convolutions_do_not() -> None:
    model = CifarResNet(4, depth=8).eval()
    with torch.no_grad():
        model.bn1.weight.fill_(3.0)
        model.bn1.running_mean.fill_(2.0)
    small = with_weights(model, fresh_batchnorm(model))
    assert torch.equal(small.bn1.weight, torch.ones(16))
    assert torch.equal(small.bn1.running_mean, torch.zeros(16))
    assert torch.equal(small.conv1.weight, model.conv1.weight)
    assert model.bn1.weight[0].item() == 3.0, 'the dense network stays as it is'


def test_any_widths_are_brought_to_the_budget() -> None:
    model = bottlenecks()
    graph = traced(model)
    full = graph.cost().macs
    layers = searched_layers(model, graph, shared=False)
    budget = Budget('macs', 0.7 * full, full, lambda keep: graph.cost(keep).macs)
    bounds = {group.name: Bounds(1) for group in graph.groups}
    context = LevelContext(
        model, graph, None, bounds, budget, 'x', 0, None, model, graph.cost()
    )
    mender = BudgetMender(layers, context)
    for widths in [(1, 1, 1, 1), (8, 8, 8, 8), (8, 1, 1, 8), (2, 7, 3, 5)]:
        mended = mender.mended(widths)
        assert all(1 <= width <= 8 for width in mended)
        assert abs(mender.cost(mended) - budget.target) <= 0.01 * budget.target, mended
    assert mender.mended((8, 1, 1, 8)) != mender.mended((1, 8, 8, 1)), 'near what was wanted'
