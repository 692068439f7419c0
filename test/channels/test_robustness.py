# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models as people have them: training, half, wrapped, averaged, frozen; and clear refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from channel_networks import Body, ChunkConcatAdd, Gate, Plain, Residual, SharedHead, conv
from torch import nn

from uav_prune_perception.channels import (
    ChannelError,
    ChannelGraph,
    PruningPlan,
    compact,
    load_pruned,
    prune,
    rule,
    verify,
)

X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_training_mode_frozen_parameters_and_gradients_survive():
    model = Residual().train()
    model.stem[0].weight.requires_grad_(False)
    model(X.repeat(4, 1, 1, 1)).sum().backward()
    before = model.stem[1].running_mean.clone()
    result = prune(model, X)
    assert torch.equal(before, model.stem[1].running_mean)
    assert result.model.training
    assert not result.model.stem[0].weight.requires_grad
    assert result.model.head.weight.grad is None
    loss = result.model(X.repeat(4, 1, 1, 1)).square().sum()
    loss.backward()
    assert result.model.head.weight.grad.abs().sum() > 0
    assert model.head.weight.grad is not None


def test_half_precision_stays_half_and_is_verified_in_double():
    model = Residual().half().eval()
    result = prune(model, X.half())
    assert next(result.model.parameters()).dtype == torch.float16
    assert result.report.max_error < 1e-9


@pytest.mark.parametrize('wrap', [nn.DataParallel, torch.compile])
def test_wrappers_are_looked_through(wrap):
    model = Plain().eval()
    result = prune(wrap(model), X)
    assert type(result.model) is Plain
    assert result.plan == prune(model, X).plan


def test_one_plan_cuts_the_average_of_the_weights_too():
    model = ChunkConcatAdd().eval()
    average = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(0.9)
    result = prune(model, X)
    small = compact(average, result.plan)
    assert verify(average, small, result.plan, X) < 1e-9
    assert small.head.weight.shape == result.model.head.weight.shape


def test_kept_modules_keep_their_outputs():
    graph = ChannelGraph.trace(Gate(), X, keep=('a',))
    assert not any(slot.parameter == 'a.0.weight' for g in graph.groups for slot in g.producers)
    assert any('kept on request (a)' in frozen.reason for frozen in graph.frozen)
    with pytest.raises(ChannelError, match='"nowhere"'):
        ChannelGraph.trace(Gate(), X, keep=('nowhere',))


def test_a_forward_that_cannot_be_traced_is_refused_in_one_line_and_can_be_replaced():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = Plain()

        def forward(self, x):
            return [score for score in self.core(x)[0] if score > 0]

    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, x):
            return [score for score in (x * self.weight).flatten() if score > 0]

    with pytest.raises(ChannelError, match=r'forward=lambda') as refusal:
        prune(Stubborn(), X)
    assert '\n' not in str(refusal.value)
    result = prune(Detector().eval(), X, forward=lambda model, x: model.core(x))
    assert type(result.model).__name__ == 'Detector'
    assert 'forward' not in vars(result.model)
    assert isinstance(result.model(X), list)


def test_what_is_cut_wrongly_is_noticed():
    """The proof can fail: reading other channels than were kept is a large error."""
    model = Residual().eval()
    graph = ChannelGraph.trace(model, X)
    plan = graph.plan({'a.0.0': [0, 1, 2, 3]})
    wrong = tuple(
        type(cut)(cut.parameter, cut.dim, cut.size, (4, 5, 6, 7))
        if (cut.parameter, cut.dim) == ('a.1.0.weight', 1)
        else cut
        for cut in plan.cuts
    )
    bad = compact(model, PruningPlan(wrong))
    good = compact(model, plan)
    assert graph.verify(model, good, plan) < 1e-9
    assert graph.verify(model, bad, plan) > 1e-6


def test_masking_really_silences():
    """The reference of the proof is not the dense network."""
    model = Plain().eval()
    graph = ChannelGraph.trace(model, X)
    plan = graph.plan({'stem.0': [0, 1]})
    untouched = compact(model, PruningPlan(()))
    assert graph.verify(model, untouched, plan) > 1e-3


def test_choices_honour_rounding_and_minimum():
    graph = ChannelGraph.trace(ChunkConcatAdd(), X)
    scores = {g.name: torch.arange(g.width).float() for g in graph.groups}
    keep = graph.choose(scores, 0.3, round_to=8, minimum=4)
    for group in graph.groups:
        channels = len(keep[group.name]) * group.tied
        assert channels % 8 == 0
        assert keep[group.name][-1] == group.width - 1  # the best-scored one stays
    least = graph.choose(scores, 0.01, minimum=6)
    assert all(len(least[g.name]) * g.tied >= 6 for g in graph.groups)


@pytest.mark.parametrize(
    ('keep', 'message'),
    [
        ({'nothing': [0]}, 'not a prunable group'),
        ({'stem.0': []}, 'keeps nothing'),
        ({'stem.0': [16]}, 'outside 0..15'),
        ({'stem.0': torch.ones(3, dtype=torch.bool)}, r'mask of \(3,\)'),
        ({'stem.0': {'head': [0]}}, 'none of its producers'),
    ],
)
def test_a_bad_choice_is_refused(keep, message):
    graph = ChannelGraph.trace(Plain(), X, trial=False)
    with pytest.raises(ChannelError, match=message):
        graph.plan(keep)


def test_a_plan_of_another_network_is_refused(tmp_path):
    result = prune(Plain().eval(), X)
    with pytest.raises(ChannelError, match=r'down\.0\.weight'):
        compact(Residual(), result.plan)
    result.plan.save(tmp_path, result.model)
    with pytest.raises(ChannelError):
        load_pruned(Residual, tmp_path)
    (tmp_path / 'weights.safetensors').write_bytes(b'not weights')
    with pytest.raises(ChannelError, match='damaged'):
        load_pruned(Plain, tmp_path)
    (tmp_path / 'plan.json').write_text('{"format": "x"}')
    with pytest.raises(ChannelError, match='not a pruning plan'):
        load_pruned(Plain, tmp_path)


def test_nothing_is_unpickled(tmp_path):
    result = prune(SharedHead().eval(), (X, torch.tensor(2.0)))
    result.plan.save(tmp_path, result.model)
    assert {path.name for path in tmp_path.iterdir()} == {'plan.json', 'weights.safetensors'}
    assert PruningPlan.load(tmp_path) == result.plan


@torch.library.custom_op('channel_networks::twice', mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@twice.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Twice(Body):
    def build(self):
        self.a, self.b = conv(16, 16), conv(16, 16)

    def body(self, x):
        return self.b(twice(self.a(x)))


def test_a_user_can_teach_an_operator():
    frozen = ChannelGraph.trace(Twice(), X).frozen
    assert any('channel_networks.twice' in f.reason for f in frozen)
    rule('channel_networks.twice')(lambda walk, node: walk.ids(node.args[0]))
    frozen = ChannelGraph.trace(Twice(), X).frozen
    assert not any('channel_networks.twice' in f.reason for f in frozen)


def test_arguments_may_be_named():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = Plain()

        def forward(self, scale, pixels=None, mask=None):
            y = self.plain(pixels * scale)
            return y if mask is None else y * mask

    named = prune(Named().eval(), {'pixels': X, 'scale': torch.tensor(2.0)})
    assert named.report.max_error < 1e-9
    assert named.report.compact.macs < 0.5 * named.report.dense.macs


class _Insists(nn.Module):
    """Its forward wants a multiple of 4, as the shuffle of ShuffleNetV2 does."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, 8, 3)

    def forward(self, x):
        assert x.shape[1] % 4 == 0
        return self.conv(x)


class _Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 24, 3), nn.Conv2d(3, 24, 3)
        self.body, self.head = _Insists(48), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.head(self.body(torch.cat([self.left(x).relu(), self.right(x).relu()], 1)))


def test_a_forward_that_asserts_multiples_is_cut_by_them():
    for ratio in (0.3, 0.5):
        result = prune(_Joined().eval(), X, ratio)
        widths = [result.model.left.out_channels, result.model.right.out_channels]
        assert max(widths) < 24, 'neither is left whole'
        assert sum(widths) % 4 == 0


class _Anchored(nn.Module):
    """Boxes from a table that is float32 whatever the network is, as anchors often are."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 2, 1))
        self.scale = torch.tensor([0.1, 0.3])  # no buffer: `.double()` leaves it alone
        self.anchors = torch.rand(64, generator=torch.Generator().manual_seed(0)) * 90

    def forward(self, x):
        first, second = (self.body(x).flatten(2) * self.scale[:, None]).unbind(1)
        width = self.anchors * 0.7 - self.anchors * 0.1
        return torch.stack([first * width, second.exp() * self.anchors.to(second)], 1)


def test_tables_that_stay_float32_are_no_difference():
    result = prune(_Anchored().eval(), torch.randn(1, 3, 16, 16), 0.5)
    assert result.graph.dtype == torch.float64
    assert result.report.max_error < 1e-12
