# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Kept channels take over from lost ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.methods.judging import with_weights
from uav_prune_perception.methods.surgeon.elimination import elimination_scores
from uav_prune_perception.methods.surgeon.readings import collect_readings
from uav_prune_perception.methods.surgeon.refit import refit
from uav_prune_perception.methods.surgeon.takeover import Surgeon


def network() -> nn.Sequential:
    """Channels 4 and 5 of the first convolution can be predicted: 2 x channel 0, and 1 + 3."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(5 * 64, 4),
    )
    with torch.no_grad():
        weight = model[0].weight
        weight[4] = 2 * weight[0]
        weight[5] = weight[1] + weight[3]
        model[1].weight[:, 4:] *= 10  # large weights do not make a channel needed
    return model.eval()


def looked_at(model: nn.Module) -> tuple[ChannelGraph, list[Tensor]]:
    batches = [torch.randn(8, 3, 8, 8) for _ in range(4)]
    return ChannelGraph.trace(model, batches[0][:1]), batches


def test_channels_that_others_predict_go_first() -> None:
    model = network()
    graph, batches = looked_at(model)
    readings = collect_readings(model, graph, batches)['0']
    scores = elimination_scores(readings, 6)
    lost = set(torch.argsort(scores)[:2].tolist())
    assert lost in ({4, 5}, {0, 5}, {4, 1}, {4, 3}, {0, 1}, {0, 3}), 'one of each related set'
    assert float(scores.sort().values[1]) < 1e-4 < float(scores.sort().values[2])


def test_scores_do_not_see_the_scale_of_a_layer() -> None:
    model = network()
    graph, batches = looked_at(model)
    before = elimination_scores(collect_readings(model, graph, batches)['0'], 6)
    with torch.no_grad():
        model[0].weight *= 7
        model[1].weight *= 0.3
    after = elimination_scores(collect_readings(model, graph, batches)['0'], 6)
    torch.testing.assert_close(before, after, rtol=1e-3, atol=0)  # moments are float32 sums


def test_the_output_stays_where_lost_channels_can_be_predicted() -> None:
    model = network()
    graph, batches = looked_at(model)
    keep = {'0': torch.tensor([True, True, True, True, False, False])}
    plan = graph.plan(keep)
    surgeon = Surgeon.look(model, graph, batches)
    plain = compact(model, plan)
    mended = compact(with_weights(model, surgeon.taken_over(keep)), plan)
    picture = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        wanted = model(picture)
        worse = float((plain(picture) - wanted).abs().max())
        better = float((mended(picture) - wanted).abs().max())
    # Not exact: the moments are damped by a thousandth, so that silent channels can be inverted
    assert better < 0.02 * worse


def test_nothing_changes_where_nothing_is_lost() -> None:
    model = network()
    graph, batches = looked_at(model)
    assert Surgeon.look(model, graph, batches).taken_over({}) == {}


class Branches(nn.Module):
    """A residual stream of eight channels, of which the branches can each keep their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.first = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.second = nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 4, H, W]."""
        x = self.stem(images)
        x = x + self.first(torch.relu(x))
        x = x + self.second(torch.relu(x))
        return self.head(x)


def test_layers_refitted_in_turn_mend_branches_that_keep_channels_of_their_own() -> None:
    torch.manual_seed(2)
    model = Branches().eval()
    images = torch.randn(32, 3, 8, 8)
    graph = ChannelGraph.trace(model, images[:1])
    own = {'stem': [0, 1, 2, 3, 4, 5], 'first': [2, 3, 4, 5, 6], 'second': [0, 3, 6, 7]}
    plan = graph.plan({'stem': own})
    small = compact(model, plan)
    assert plan.placements
    before = {name: value.clone() for name, value in model.state_dict().items()}
    unseen = torch.randn(8, 3, 8, 8)

    def error() -> float:
        with torch.no_grad():
            return float((small(unseen) - model(unseen)).square().mean())

    plain = error()
    assert refit(small, model, plan, images) == 4
    assert error() < 0.6 * plain
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_uncut_network_keeps_its_weights_in_a_refit() -> None:
    model = network()
    graph, batches = looked_at(model)
    plan = graph.plan({})
    small = compact(model, plan)
    refit(small, model, plan, batches[0])
    for name, value in small.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_too_few_places_teach_nothing() -> None:
    """Deep layers of a small picture: least squares over fewer places than channels explode."""
    model = network()
    graph, batches = looked_at(model)
    plan = graph.plan({'0': torch.tensor([True] * 4 + [False] * 2)})
    small = compact(model, plan)
    before = [value.clone() for value in small.state_dict().values()]
    refit(small[:3], model[:3], plan, batches[0][:1, :, :2, :1])  # two places, three channels
    assert all(torch.equal(a, b) for a, b in zip(small.state_dict().values(), before, strict=True))


class Channelled(nn.Module):
    """A block of ConvNeXt's kind: linear layers on [B, H, W, C]; then a convolution of a row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.wide, self.narrow = nn.Linear(6, 12), nn.Linear(12, 6)
        self.row = nn.Conv1d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x).permute(0, 2, 3, 1)
        y = self.narrow(self.wide(y).relu()).permute(0, 3, 1, 2)
        return self.row(y.flatten(2))


def test_channels_are_found_where_the_layer_has_them() -> None:
    torch.manual_seed(0)
    model = Channelled().eval()
    images = torch.randn(8, 3, 6, 6)  # as high as the stem is wide
    graph = ChannelGraph.trace(model, images[:1])
    plan = graph.plan({'wide': torch.arange(12) < 8})
    small = compact(model, plan)
    unseen = torch.randn(16, 3, 6, 6)

    def error() -> float:
        with torch.no_grad():
            return float((small(unseen) - model(unseen)).square().mean())

    plain = error()
    assert refit(small, model, plan, images) == 4
    assert error() < 0.8 * plain
