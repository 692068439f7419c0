# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR's accuracy mode: accept, roll back, give up one more, stop at the budget. No training."""

from __future__ import annotations

import pytest
import torch
from tiny_job import Quiet

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.methods.daar.accuracy_search import AccuracyRun, AccuracySearch
from uav_prune_perception.methods.interfaces import Bounds, Budget, LevelContext, MethodError
from uav_prune_perception.methods.search_interfaces import Trial
from uav_prune_perception.networks.resnet_cifar import CifarResNet

MODEL = CifarResNet(4, depth=8).eval()
GRAPH = ChannelGraph.trace(MODEL, torch.rand(1, 3, 16, 16), trial=False)


def search(share: float = 0.2, **options: float) -> AccuracyRun:
    full = GRAPH.cost().macs
    context = LevelContext(
        model=MODEL, graph=GRAPH, task=None, bounds={g.name: Bounds(2) for g in GRAPH.groups},
        budget=Budget('macs', share * full, full, lambda keep: GRAPH.cost(keep).macs),
        level='x', seed=0, reporter=Quiet(), dense=None, dense_cost=GRAPH.cost(),
    )
    generator = torch.Generator().manual_seed(0)
    scores = {g.name: torch.rand(g.width, generator=generator).double() for g in GRAPH.groups}
    run = AccuracyRun(AccuracySearch(**{'allowed_drop': 0.01, **options}), context, scores)
    run.reference = 0.9
    return run


def answer(run: AccuracyRun, accuracy: float) -> tuple[bool, float]:
    """One trial that ends with this accuracy."""
    keep = run.propose()
    assert keep is not None
    cost = GRAPH.cost(keep).macs
    run.inherit(compact(MODEL, GRAPH.plan(keep)), keep)
    return run.tell(Trial(run.trials, keep, accuracy, cost)), cost


def test_it_cuts_on_from_what_was_accepted_until_the_budget() -> None:
    run, costs = search(share=0.4), []
    while run.propose() is not None:
        better, cost = answer(run, 0.895)
        assert better
        costs.append(cost)
    assert costs == sorted(costs, reverse=True)
    assert GRAPH.cost(run.best()).macs / GRAPH.cost().macs == pytest.approx(0.4, rel=0.01)


def test_a_drop_too_large_halves_the_step_and_goes_back() -> None:
    run = search()
    _, first = answer(run, 0.9)
    better, second = answer(run, 0.88)
    assert not better
    assert run.step == 0.5
    _, third = answer(run, 0.9)
    assert second < third < first
    assert GRAPH.cost(run.best()).macs == third


def test_three_failures_give_up_one_more_accepted_cut_but_not_the_best() -> None:
    run = search(least_step=0.01)
    answer(run, 0.9)
    _, cheapest = answer(run, 0.9)
    for _ in range(3):
        answer(run, 0.1)
    assert len(run.accepted) == 1
    assert run.step == pytest.approx(0.125)
    better, cost = answer(run, 0.9)
    assert cost > cheapest
    assert not better, 'accepted, but an earlier one was cheaper'
    assert GRAPH.cost(run.best()).macs == cheapest


def test_nothing_that_keeps_the_accuracy_is_an_error_in_words() -> None:
    run = search()
    while run.step >= run.options.least_step:
        assert answer(run, 0.5)[0] is False
    with pytest.raises(MethodError, match=r'within 0\.01 of 0\.9000; allow a larger'):
        run.propose()


def test_a_candidate_starts_from_the_accepted_weights() -> None:
    run = search()
    answer(run, 0.9)
    with torch.no_grad():
        run._candidate.linear.bias.fill_(7.0)
    run.accepted[-1].weights['linear.bias'].fill_(7.0)
    keep = run.propose()
    small = compact(MODEL, GRAPH.plan(keep))
    run.inherit(small, keep)
    assert torch.equal(small.linear.bias, torch.full((4,), 7.0))


def test_a_resumed_search_proposes_the_same() -> None:
    run, again = search(), search()
    answer(run, 0.9)
    answer(run, 0.1)
    again.load_state_dict(run.state_dict())
    one, other = run.propose(), again.propose()
    assert all(torch.equal(mask, other[name]) for name, mask in one.items())
