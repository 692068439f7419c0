# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Magnitude of whole groups: what counts, and why means are renewed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_job import Quiet, build, classifier
from tiny_networks import Chain
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.allocation import Balanced, Uniform
from uav_prune_perception.methods.group_magnitude import (
    GroupMagnitude,
    GroupMagnitudeOptions,
    WeightMasses,
)
from uav_prune_perception.methods.interfaces import LevelContext, Scores
from uav_prune_perception.methods.registry import make_method


def _context(model: nn.Module) -> LevelContext:
    graph = ChannelGraph.trace(model.eval(), torch.randn(1, 3, 8, 8))
    return LevelContext(
        model, graph, None, {}, None, '', 5, Quiet(), None, graph.cost()  # type: ignore[arg-type]
    )


def _score(model: nn.Module, **options: int) -> Scores:
    return GroupMagnitude(GroupMagnitudeOptions(**options)).score(_context(model))


@pytest.mark.parametrize('part', ['first', 'norm', 'second'])
def test_makers_companions_and_readers_count(part: str) -> None:
    torch.manual_seed(0)
    model = Chain()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(0.9, 1.1)
        weight = model.get_submodule(part).weight
        assert isinstance(weight, Tensor)
        weight[(slice(None), 5) if part == 'second' else 5] *= 0.01
    assert int(_score(model)['first'].argmin()) == 5


def test_every_channel_has_its_own_place_between_0_and_1() -> None:
    scores = torch.cat(list(_score(Chain()).values()))
    assert len(scores.unique()) == len(scores) == 14
    assert float(scores.min()) == 0.0
    assert float(scores.max()) < 1.0


def test_channels_are_compared_with_those_that_are_left() -> None:
    """A wide spread goes on losing: each time its mean rises, the next one is below it."""
    model = Chain()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        spread = torch.linspace(0.2, 1.8, 8)
        model.first.weight *= spread[:, None, None, None]
        model.norm.weight.copy_(spread)
        model.second.weight *= spread[None, :, None, None]
        model.second.weight[0] *= 0.7  # between the fourth and the fifth of `first`, at once
    lost = {
        steps: int((scores['first'] < scores['second'].min()).sum())
        for steps in (1, 200) for scores in [_score(model, steps=steps)]
    }
    assert lost[200] > lost[1] > 0


def test_masses_stay_true_as_channels_go() -> None:
    torch.manual_seed(1)
    model = Chain()
    context = _context(model)
    groups = {group.name: group for group in context.graph.groups}
    masses = WeightMasses(model, context.graph.groups, 1)
    for choice in (2, 7):
        masses.remove(groups['first'], choice)
    slot = next(slot for slot in groups['second'].producers)
    left = [index for index in range(8) if index not in (2, 7)]
    expected = model.second.weight.detach().double()[:, left].abs().sum((1, 2, 3))
    found = masses.of(groups['second'], slot)
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_it_is_balanced_where_the_recipe_does_not_say_otherwise(tmp_path: Path) -> None:
    job = classifier(tmp_path, 'prune.method=group_magnitude')
    assert isinstance(make_method(job).allocator, Balanced)
    job = classifier(tmp_path, 'prune.method=group_magnitude', 'prune.allocation=uniform')
    assert isinstance(make_method(job).allocator, Uniform)


def test_it_makes_a_ladder(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, 'prune.method=group_magnitude', 'prune.levels=[{kept_macs: 0.5}]',
        'finetune.distil=true',
    )
    (level,) = build(job, tmp_path)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)
