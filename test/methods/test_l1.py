# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1 scores, methods by name, and cuts that follow one another."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.methods.interfaces import LevelContext, MethodError
from uav_prune_perception.methods.l1 import L1Magnitude
from uav_prune_perception.methods.plan_chain import chained
from uav_prune_perception.training.fit_options import FitOptions


class Residual(nn.Module):
    """A stem and a branch that are added, so their outputs are coupled; then a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 12, 3, padding=1)
        self.outer = nn.Conv2d(12, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = x + self.outer(self.inner(x).relu())
        return self.head(x.mean((2, 3)))


@pytest.fixture
def model() -> Residual:
    torch.manual_seed(0)
    return Residual().eval()


def graph_of(model: nn.Module) -> ChannelGraph:
    return ChannelGraph.trace(model, torch.randn(1, 3, 8, 8))


def score(model: nn.Module) -> dict[str, Tensor]:
    graph = graph_of(model)
    context = LevelContext(model, graph, None, {}, None, '', 0, None, None, graph.cost())  # type: ignore[arg-type]
    return dict(L1Magnitude().score(context))


def test_scores_are_the_norms_over_their_mean(model: Residual) -> None:
    norms = model.inner.weight.detach().double().abs().sum((1, 2, 3))
    torch.testing.assert_close(score(model)['inner'], norms / norms.mean())


def test_the_scale_of_a_layer_does_not_matter(model: Residual) -> None:
    before = score(model)
    with torch.no_grad():
        model.outer.weight *= 100.0
        model.inner.weight *= 0.01
    after = score(model)
    for name in before:
        torch.testing.assert_close(after[name], before[name])


def test_coupled_layers_have_equal_say(model: Residual) -> None:
    scores = score(model)
    (coupled,) = [name for name in scores if name != 'inner']
    parts = []
    for layer in (model.stem, model.outer):
        norms = layer.weight.detach().double().abs().sum((1, 2, 3))
        parts.append(norms / norms.mean())
    torch.testing.assert_close(scores[coupled], (parts[0] + parts[1]) / 2)


def test_two_cuts_are_one_plan_of_the_dense_network(model: Residual) -> None:
    first = graph_of(model).plan({'inner': [0, 2, 3, 5, 7, 8, 11]})
    smaller = compact(model, first)
    graph = graph_of(smaller)
    (coupled,) = [group.name for group in graph.groups if group.name != 'inner']
    second = graph.plan({'inner': [1, 2, 6], coupled: [0, 3, 4]})
    smallest = compact(smaller, second)
    at_once = compact(model, chained(first, second))
    assert at_once.inner.out_channels == 3
    torch.testing.assert_close(at_once.inner.bias, model.inner.bias[[2, 3, 11]])
    picture = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(at_once(picture), smallest(picture), rtol=0, atol=0)
    assert chained(first, second).kept['inner'] == (3, 12)


def test_plans_that_do_not_follow_are_refused(model: Residual) -> None:
    first = graph_of(model).plan({'inner': [0, 1, 2]})
    with pytest.raises(MethodError, match=r'inner.*expects 12 entries, the first leaves 3'):
        chained(first, graph_of(model).plan({'inner': [4, 5]}))


def test_a_recipe_has_the_settings_and_defaults_of_fit() -> None:
    import dataclasses

    from uav_prune_perception.methods.recipe import FitSection

    fields = {field.name: field.default for field in dataclasses.fields(FitOptions)}
    del fields['seed'], fields['epochs']  # the recipe has one seed, and epochs must be said
    section = {
        name: field.default for name, field in FitSection.model_fields.items() if name != 'epochs'
    }
    assert section == fields
