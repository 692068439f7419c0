# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Budgets are met within one percent, bounds are respected, the impossible is said."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.allocation import (
    Balanced,
    GlobalThreshold,
    InnerFirst,
    Uniform,
    group_bounds,
)
from uav_prune_perception.methods.interfaces import (
    Bounds,
    Budget,
    CostOf,
    Keep,
    LevelContext,
    MethodError,
    RatioAllocator,
    Scores,
)
from uav_prune_perception.networks.resnet_cifar import CifarResNet

WIDTHS = {'a': 16, 'b': 32, 'c': 48, 'd': 64, 'e': 64}
ALLOCATORS = [GlobalThreshold(), Uniform(), Balanced()]


def cost(keep: Keep) -> float:
    """A chain of 3x3 convolutions, 3 channels in, 10 out, on ever smaller maps."""
    widths = [3, *(int(keep[name].sum()) for name in WIDTHS), 10]
    areas = [64 * 64 // (2**depth) for depth in range(len(widths))]
    layers = zip(areas, pairwise(widths), strict=False)
    return float(sum(9 * area * before * after for area, (before, after) in layers))


def scores(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(width, generator=generator) for name, width in WIDTHS.items()}


def bounds(least: int = 2, round_to: int = 1) -> dict[str, Bounds]:
    return {
        name: group_bounds(
            width, 1, width, min_channels=least, step=round_to, max_cut=0.95
        )
        for name, width in WIDTHS.items()
    }


def allocated(
    allocator: RatioAllocator,
    given: Scores,
    price: CostOf,
    target: float,
    limits: dict[str, Bounds],
) -> Keep:
    """What an allocator chooses; of its context it needs only the bounds."""
    context = LevelContext(None, None, None, limits, None, '', 0, None, None, None)  # type: ignore[arg-type]
    return allocator.allocate(given, Budget('macs', target, FULL, price), context)


FULL = cost({name: torch.ones(width, dtype=torch.bool) for name, width in WIDTHS.items()})


@pytest.mark.parametrize('allocator', ALLOCATORS, ids=['global', 'uniform', 'balanced'])
@pytest.mark.parametrize('share', [0.9, 0.7, 0.45, 0.25, 0.1])
@pytest.mark.parametrize('round_to', [1, 4])
def test_the_budget_is_met_within_one_percent(
    allocator: RatioAllocator, share: float, round_to: int
) -> None:
    keep = allocated(allocator, scores(), cost, share * FULL, bounds(round_to=round_to))
    assert cost(keep) == pytest.approx(share * FULL, rel=0.01)
    for name, mask in keep.items():
        assert mask.dtype == torch.bool
        assert len(mask) == WIDTHS[name]
        assert int(mask.sum()) >= 2
        assert int(mask.sum()) % round_to == 0 or int(mask.sum()) == 2


@pytest.mark.parametrize('allocator', ALLOCATORS, ids=['global', 'uniform', 'balanced'])
def test_within_a_group_the_best_stay(allocator: RatioAllocator) -> None:
    given = scores()
    keep = allocated(allocator, given, cost, 0.5 * FULL, bounds())
    for name, mask in keep.items():
        if not mask.all():
            assert given[name][mask].min() >= given[name][~mask].max()


def test_the_global_threshold_cuts_where_scores_are_small() -> None:
    given = scores()
    given['d'] = given['d'] * 0.01
    keep = allocated(GlobalThreshold(), given, cost, 0.6 * FULL, bounds())
    shares = {name: float(mask.float().mean()) for name, mask in keep.items()}
    assert min(shares, key=shares.__getitem__) == 'd'
    assert shares['a'] > 0.8


def test_balanced_lies_half_way_between_a_threshold_and_equal_shares() -> None:
    given = scores()
    given['d'] = given['d'] * 0.01
    kept = {
        allocator: {
            name: float(mask.float().mean())
            for name, mask in allocated(allocator, given, cost, 0.6 * FULL, bounds()).items()
        }
        for allocator in (GlobalThreshold(), Balanced(), Uniform())
    }
    threshold, balanced, uniform = kept.values()
    assert threshold['d'] < balanced['d'] < uniform['d']
    assert threshold['a'] > balanced['a'] > uniform['a']


def test_all_of_it_costs_nothing() -> None:
    keep = allocated(GlobalThreshold(), scores(), cost, FULL, bounds())
    assert all(bool(mask.all()) for mask in keep.values())


def test_equal_scores_are_cut_in_the_same_way_each_time() -> None:
    given = {name: torch.ones(width) for name, width in WIDTHS.items()}
    first = allocated(GlobalThreshold(), given, cost, 0.5 * FULL, bounds())
    second = allocated(GlobalThreshold(), given, cost, 0.5 * FULL, bounds())
    assert all(torch.equal(first[name], second[name]) for name in WIDTHS)
    assert cost(first) == pytest.approx(0.5 * FULL, rel=0.01)


@pytest.mark.parametrize('allocator', ALLOCATORS, ids=['global', 'uniform', 'balanced'])
def test_a_budget_below_the_narrowest_network_is_refused(allocator: RatioAllocator) -> None:
    with pytest.raises(MethodError, match=r'narrowest network allowed has .* lower prune'):
        allocated(allocator, scores(), cost, 0.01 * FULL, bounds(least=8))


def test_a_budget_between_the_steps_is_refused_with_the_nearest() -> None:
    only = {'a': torch.rand(8), 'b': torch.rand(8)}

    def coarse(keep: Keep) -> float:
        return float(keep['a'].sum() * keep['b'].sum())

    limits = {name: Bounds(4, 4) for name in only}
    with pytest.raises(MethodError, match='nearest that whole channels can make'):
        allocated(GlobalThreshold(), only, coarse, 40.0, limits)


def test_a_level_above_that_ended_lower_is_named() -> None:
    with pytest.raises(MethodError, match=r'has only .* the level above ended below'):
        allocated(Uniform(), scores(), cost, 1.2 * FULL, bounds())


def test_the_cap_counts_from_the_dense_network() -> None:
    settings = {'min_channels': 4, 'max_cut': 0.9}
    assert group_bounds(20, 1, 100, **settings).least == 10
    assert group_bounds(3, 1, 3, **settings).least == 3


def test_the_fewest_channels_are_a_multiple_too() -> None:
    assert group_bounds(48, 1, 48, min_channels=4, max_cut=0.75, step=8).least == 16
    assert group_bounds(12, 1, 48, min_channels=4, max_cut=0.75, step=8).least == 12


def test_tied_channels_count_as_one_choice() -> None:
    limits = group_bounds(32, 4, 32, min_channels=6, step=2, max_cut=1.0)
    assert limits.least == 2, '6 channels are 2 choices of 4'
    assert limits.round_to == 2, '8 channels are 2 choices of 4'


@pytest.mark.parametrize('allocator', [Uniform(), GlobalThreshold()])
def test_inner_leaves_streams_whole_until_the_budget_needs_them(allocator) -> None:
    model = CifarResNet(4, depth=8, shortcut='B').eval()
    graph = ChannelGraph.trace(model, torch.rand(1, 3, 16, 16), trial=False)
    full = graph.cost().macs
    streams = {group.name for group in graph.groups if len(group.producers) > 1}
    scores = {group.name: torch.rand(group.width) for group in graph.groups}

    def kept(share: float) -> dict[str, float]:
        budget = Budget('macs', share * full, full, lambda keep: graph.cost(keep).macs)
        context = LevelContext(
            model, graph, None, {group.name: Bounds(2) for group in graph.groups}, budget, 'x', 0,
            None, model, graph.cost(),
        )
        keep = InnerFirst(allocator).allocate(scores, budget, context)
        assert budget.miss(keep) <= 0.01
        return {name: float(mask.float().mean()) for name, mask in keep.items()}

    assert streams
    some = kept(0.6)
    assert all(some[name] == 1.0 for name in streams)
    assert sum(share < 0.8 for name, share in some.items() if name not in streams) > 1
    assert any(kept(0.1)[name] < 1.0 for name in streams)
