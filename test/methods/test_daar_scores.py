# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR's scores: what attention sees, what scale does not change, where which one is used."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_job import Quiet
from tiny_tasks import corner_task, scene_task
from torch import nn
from torch.nn import functional

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.daar.attention_scores import ChannelScore, SpatialScore
from uav_prune_perception.methods.daar.channel_probe import ChannelProbe
from uav_prune_perception.methods.daar.importance import AttentionOptions, DualAttention
from uav_prune_perception.methods.feature_maps import find_taps, watching
from uav_prune_perception.methods.interfaces import LevelContext
from uav_prune_perception.networks.aerial_detector import AerialDetector
from uav_prune_perception.networks.resnet_cifar import CifarResNet
from uav_prune_perception.networks.yolov5 import Yolov5

FAST = {'batches': 2, 'batch_size': 8, 'probe_epochs': 0.5, 'probe_batch_size': 8}


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return CifarResNet(4, depth=8).eval()


def context(model: nn.Module, graph: ChannelGraph, task) -> LevelContext:
    return LevelContext(
        model=model, graph=graph, task=task, bounds={}, budget=None, level='50', seed=1,
        reporter=Quiet(), dense=None, dense_cost=graph.cost(),
    )


def test_a_channel_that_looks_elsewhere_scores_less() -> None:
    maps = torch.zeros(3, 4, 6, 6)
    maps[:, 0, 1:3, 1:3] = 4.0     # what the layer attends to
    maps[:, 1, 1:3, 1:3] = 2.0     # the same place, weaker
    maps[:, 2, 4:6, 4:6] = 2.0     # as strong, elsewhere
    score = SpatialScore()
    score.see(maps)
    values = score.result()
    assert values[0] > values[1] > values[2] > 0
    assert values[3] == 0, 'a dead channel'
    assert values.mean() == pytest.approx(1.0)


def test_scores_do_not_see_the_scale_of_a_layer() -> None:
    maps = torch.randn(4, 8, 5, 5)
    for make in (SpatialScore, ChannelScore):
        plain, scaled = make(), make()
        for factor, score in ((1.0, plain), (37.5, scaled)):
            seen = maps * factor
            score.see(seen if isinstance(score, SpatialScore) else seen.mean((2, 3)))
        assert torch.allclose(plain.result(), scaled.result(), rtol=1e-5)


@pytest.mark.parametrize('channel_by', ['free', 'probe'])
def test_a_layer_that_is_scaled_in_the_network_keeps_its_scores(channel_by: str) -> None:
    """gamma and beta times a, the next weights over a: the same network, the same scores."""
    model, task = classifier(), corner_task(32)
    scaled = copy.deepcopy(model)
    for block in (scaled.layer1[0], scaled.layer3[0]):
        block.bn1.weight.data.mul_(8.0)
        block.bn1.bias.data.mul_(8.0)
        block.conv2.weight.data.div_(8.0)
    graph = ChannelGraph.trace(model, task.example_input())
    importance = DualAttention(AttentionOptions(channel_by=channel_by, **FAST))
    before = importance.score(context(model, graph, task))
    after = importance.score(context(scaled, graph, task))
    for name, values in before.items():
        assert torch.allclose(values, after[name], rtol=1e-3), name


def test_maps_are_seen_behind_batchnorm_and_activation() -> None:
    model, task = classifier(), corner_task(8)
    example = task.example_input()
    taps = find_taps(ChannelGraph.trace(model, example))
    seen = {}
    with torch.no_grad(), watching(model, taps.values(), lambda t, f: seen.update({t.weight: f})):
        model(example)
        block = model.layer1[0]
        x = functional.relu(model.bn1(model.conv1(example)))
        inner = functional.relu(block.bn1(block.conv1(x)))
        branch = block.bn2(block.conv2(inner))
    assert torch.allclose(seen['conv1.weight'], x)
    assert torch.allclose(seen['layer1.0.conv1.weight'], inner)
    assert torch.allclose(seen['layer1.0.conv2.weight'], branch), 'the sum is not its own'
    assert taps['layer1.0.conv1.weight'].norm == 'layer1.0.bn1'


@pytest.mark.parametrize(
    ('options', 'spatial'),
    [
        ({}, {'conv1', 'layer1', 'layer2'}),
        ({'boundary': 1.0}, {'conv1', 'layer1'}),
        ({'attention': 'spatial'}, {'conv1', 'layer1', 'layer2', 'layer3'}),
        ({'attention': 'channel'}, set()),
        ({'attention': 'swapped'}, {'layer3'}),
        ({'boundary_by': 'depth', 'boundary': 3 / 7}, {'conv1', 'layer1'}),
    ],
)
def test_the_boundary_between_shallow_and_deep(options, spatial, monkeypatch) -> None:
    model, task = classifier(), corner_task(16)
    graph = ChannelGraph.trace(model, task.example_input())
    seen: set[str] = set()
    original = DualAttention._spatial_layers

    def spy(self, shapes, width, boundary):
        found = original(self, shapes, width, boundary)
        seen.update(weight.partition('.')[0] for weight in found)
        return found

    monkeypatch.setattr(DualAttention, '_spatial_layers', spy)
    settings = AttentionOptions(**{'channel_by': 'free', 'batches': 1, 'batch_size': 4, **options})
    DualAttention(settings).score(context(model, graph, task))
    assert seen == spatial


def test_more_than_the_stem_of_a_detector_is_shallow() -> None:
    torch.manual_seed(0)
    model, task = Yolov5(4, width=0.125).eval(), scene_task(4)
    graph = ChannelGraph.trace(model, task.example_input())
    options = {'channel_by': 'free', 'batches': 1, 'batch_size': 2}
    found = {
        boundary: DualAttention(AttentionOptions(boundary=boundary, **options)).layer_scores(
            model, graph, task
        ) for boundary in (None, 0.125, 0.5)
    }
    differ = [
        weight for weight, scores in found[None].items()
        if not torch.equal(scores, found[0.5][weight])
    ]
    assert any(weight.startswith('model.3.') for weight in differ), 'stride 8'
    assert not any(weight.startswith('model.7.') for weight in differ), 'stride 32'
    assert all(torch.equal(found[None][w], found[0.125][w]) for w in found[None])


def test_groups_tied_by_additions_sum_their_members() -> None:
    model, task = classifier(), corner_task(16)
    graph = ChannelGraph.trace(model, task.example_input())
    importance = DualAttention(AttentionOptions(channel_by='free', batches=1, batch_size=8))
    layers = importance.layer_scores(model, graph, task)
    scores = importance.score(context(model, graph, task))
    group = next(g for g in graph.groups if len(g.producers) > 1)
    members = [layers[s.parameter][g] for s, g in (
        (slot, group.members[slot][:, 0]) for slot in group.producers)]
    assert torch.allclose(scores[group.name], torch.stack(members).sum(0))
    assert all(m.mean() == pytest.approx(1.0, abs=0.5) for m in members)


def test_the_probe_learns_which_channel_matters_and_leaves_the_network_alone() -> None:
    task = corner_task(64)

    class Two(nn.Module):
        """Channel 0 knows the class; the others are noise that the head has learnt to use."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
            self.bn = nn.BatchNorm2d(8)
            self.head = nn.Linear(8 * 4, 4)

        def forward(self, x):
            y = torch.relu(self.bn(self.conv(x)))
            return self.head(functional.adaptive_avg_pool2d(y, 2).flatten(1))

    torch.manual_seed(0)
    model = Two()
    with torch.no_grad():
        model.head.weight.zero_()
        for corner in range(4):
            model.head.weight[corner, corner] = 8.0        # channel 0, position = class
        model.head.weight[:, 4:] = torch.randn(4, 28) * 2.0
        model.conv.weight[0] = 0.2
    model.train()
    for images, _ in task.train_batches(0, 32, torch.Generator().manual_seed(0)):
        model(images)
    before = copy.deepcopy(model.state_dict())
    graph = ChannelGraph.trace(model.eval(), task.example_input())
    taps = find_taps(graph)
    probe = ChannelProbe(model, list(taps.values()), {'conv.weight': 8})
    first = probe.train(task, epochs=1, batch_size=16, lr=0.05)
    last = probe.train(task, epochs=10, batch_size=16, lr=0.05)
    assert last < first
    gate = SeenGates()
    with torch.no_grad(), watching(model, taps.values(), gate(probe)):
        for images in task.calibration_batches(2, 16):
            model(images)
    values = torch.cat(gate.seen).mean(0)
    assert values.argmax() == 0
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


class SeenGates:
    def __init__(self) -> None:
        self.seen = []

    def __call__(self, probe: ChannelProbe):
        def see(tap, features):
            self.seen.append(probe.gates[tap.weight](features))

        return see


def test_a_detector_is_scored_too() -> None:
    torch.manual_seed(0)
    model, task = AerialDetector(4, width=0.5).eval(), scene_task(8)
    graph = ChannelGraph.trace(model, task.example_input())
    importance = DualAttention(AttentionOptions(boundary=0.25, **FAST))
    scores = importance.score(context(model, graph, task))
    again = importance.score(context(model, graph, task))
    for group in graph.groups:
        assert scores[group.name].shape == (group.width,)
        assert bool(torch.isfinite(scores[group.name]).all())
        assert torch.equal(scores[group.name], again[group.name]), 'no hidden chance'
