# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1RR's feature attention: maps, target masks, candidates, and the ratio that it allows."""

from __future__ import annotations

import pytest
import torch
from tiny_tasks import corner_task, scene_task
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.l1rr.attention import attention_map, feature_attention_loss
from uav_prune_perception.methods.l1rr.attention_probe import AttentionProbe
from uav_prune_perception.methods.l1rr.attention_shares import attention_losses
from uav_prune_perception.methods.l1rr.candidates import Candidates
from uav_prune_perception.methods.l1rr.feature_levels import find_levels
from uav_prune_perception.methods.l1rr.ratio_choice import (
    choose_ratio,
    silent_at,
)
from uav_prune_perception.methods.l1rr.ratio_search import best_ratio, knee
from uav_prune_perception.methods.l1rr.scores import scale_scores
from uav_prune_perception.methods.l1rr.target_masks import (
    activation_masks,
    box_masks,
    object_weights,
)
from uav_prune_perception.networks.aerial_detector import AerialDetector
from uav_prune_perception.networks.resnet_cifar import CifarResNet
from uav_prune_perception.networks.yolo import YoloDetector
from uav_prune_perception.networks.yolov5 import Yolov5
from uav_prune_perception.training.detection_task import classes_in_turn


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """Scales and shifts of a network that has learnt something."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.05, 1.5, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
    return model.eval()


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return shaken(CifarResNet(4, depth=8))


def detector() -> nn.Module:
    torch.manual_seed(0)
    return shaken(AerialDetector(4, width=0.5))


def test_attention_does_not_see_scale_or_number_of_channels() -> None:
    features = torch.rand(2, 5, 4, 6)
    attention = attention_map(features)
    assert torch.allclose(attention.flatten(1).norm(dim=1), torch.ones(2))
    assert torch.allclose(attention_map(3.5 * features), attention)
    assert torch.allclose(attention_map(torch.cat([features, features], dim=1)), attention)


def test_the_loss_is_that_of_the_formula() -> None:
    before, after = torch.rand(1, 3, 3), torch.rand(1, 3, 3)
    mask = torch.zeros(1, 3, 3)
    mask[0, 1, 1] = mask[0, 1, 2] = 1.0
    error = (before - after)[0] ** 2
    inside = error[1, 1] + error[1, 2]
    wanted = inside / 2 + 0.1 * (error.sum() - inside) / 7
    assert feature_attention_loss([before], [after], [mask]) == pytest.approx(float(wanted))
    assert feature_attention_loss([before] * 2, [before] * 2, [mask] * 2) == 0.0


def test_boxes_cover_every_cell_they_touch_and_ignored_ones_none() -> None:
    targets = torch.tensor([
        [0, 1, 8.5, 8.5, 9.5, 9.0],     # tiny: no cell centre within
        [1, 0, 0, 0, 16, 40],           # over the lower edge
        [1, -1, 0, 0, 32, 32],          # ignore
    ])
    masks = box_masks(targets, pictures=2, classes=2, size=(32, 64), grid=(4, 8))
    assert masks.shape == (2, 2, 4, 8)
    assert masks[1, 0].nonzero().tolist() == [[1, 1]]
    assert masks[0, 1].nonzero().tolist() == [[y, x] for y in range(4) for x in range(2)]
    assert masks.sum() == 9


def test_protected_objects_weigh_the_same_whatever_their_size() -> None:
    targets = torch.tensor([[0, 0, 0, 0, 32, 32.0], [0, 0, 48, 8, 50, 10], [0, 1, 40, 0, 41, 1]])
    weights = object_weights(targets, pictures=1, classes=2, size=(32, 64), grid=(4, 8))
    assert weights[0].sum() == pytest.approx(2.0)
    assert weights[0, 0, :, :4].sum() == weights[0, 0, 1, 6] == weights[1].sum() == 1.0
    error = torch.zeros(1, 4, 8)
    error[0, 1, 6] = 1.0  # only the small one is looked at differently
    masks = box_masks(targets, pictures=1, classes=2, size=(32, 64), grid=(4, 8))
    nothing = torch.zeros_like(error)
    by_area = feature_attention_loss([nothing], [error], [masks])[0]
    by_object = feature_attention_loss([nothing], [error], [masks], weights=[weights])[0]
    assert (float(by_area), float(by_object)) == (pytest.approx(1 / 17), pytest.approx(1 / 2))


def test_a_few_pictures_show_every_class() -> None:
    labels = [torch.tensor(own).numpy() for own in ([0], [0], [], [0, 1], [1], [2, 0], [0])]
    assert classes_in_turn(labels, 3).tolist() == [5, 3, 0, 4, 1, 6, 2]


def test_both_branches_of_a_head_are_levels() -> None:
    model = shaken(YoloDetector(2, width=0.125, strides=(16, 32)))
    example = torch.randn(1, 3, 64, 64)
    levels = find_levels(model, ChannelGraph.trace(model, example), example)
    assert {f'heads.{i}.{kind}.1' for i in (0, 1) for kind in ('box', 'score')} <= set(levels)


def test_sliced_outputs_are_no_levels_but_what_they_are_made_from() -> None:
    model = shaken(Yolov5(2, width=0.125))
    example = torch.randn(1, 3, 64, 64)
    levels = find_levels(model, ChannelGraph.trace(model, example), example)
    assert levels == ['model.17', 'model.20', 'model.23']  # P3, P4, P5


def test_class_activation_finds_the_corner_that_decides() -> None:
    class Corner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            f = self.features(x * 1.0)
            return torch.stack([f[:, 0, :2].mean((1, 2)), -f[:, 0, 2:].mean((1, 2))], dim=1)

    model = Corner().eval()
    images = torch.zeros(1, 3, 4, 4)
    images[0, 0, 0, 0] = 5.0
    mask = activation_masks(model, model.features, images, torch.tensor([0]))
    assert mask[0].nonzero().tolist() == [[0, 0]]
    assert float(mask.max()) == 1.0


@pytest.mark.parametrize('make', [classifier, detector])
def test_levels_are_found_without_naming_them(make) -> None:
    model = make()
    task = corner_task(8) if make is classifier else scene_task(4)
    example = task.example_input()
    levels = find_levels(model, ChannelGraph.trace(model, example), example)
    if make is classifier:
        assert [level.partition('.')[0] for level in levels] == ['layer1', 'layer2', 'layer3']
    else:
        assert [level.partition('.')[0] for level in levels] == ['stage4', 'heads', 'heads']
        assert not any(level.endswith(('box', 'score')) for level in levels)


@pytest.mark.parametrize('make', [classifier, detector])
def test_a_silenced_network_answers_as_the_compact_one(make) -> None:
    model, task = make(), corner_task(8) if make is classifier else scene_task(4)
    example = task.example_input()
    graph = ChannelGraph.trace(model, example)
    gone = silent_at(scale_scores(model, graph, apart=True), 0.4)
    candidates = Candidates(model, graph)
    candidates.silence(gone)
    keep = {
        name: ~each[''] if '' in each else {module: ~mask for module, mask in each.items()}
        for name, each in gone.items()
    }
    small = compact(model, graph.plan(keep))
    with torch.no_grad():
        masked, cut = candidates.model(example), small(example)
    assert torch.allclose(masked, cut, atol=1e-4, rtol=1e-4)
    candidates.silence({})
    with torch.no_grad():
        assert torch.equal(candidates.model(example), model(example)), 'whole again'


def test_the_knee_is_where_the_curve_turns() -> None:
    ratios = [0.0, 0.2, 0.4, 0.6, 0.8]
    assert knee(ratios, [0.0, 0.01, 0.02, 0.5, 1.0]) == 2
    assert knee(ratios, [0.0, 0.1, 0.2, 0.3, 0.4]) == 4, 'a straight line has none'
    assert best_ratio(ratios, [0.0, 0.01, 0.02, 0.5, 1.0]) == 0.4
    assert best_ratio(ratios, [0.0, 0.01, 0.02, 0.5, 1.0], tau=0.01) == 0.2
    assert best_ratio(ratios, [0.0, 0.3, 0.02, 0.5, 1.0], tau=0.1) == 0.4, 'largest, not first'
    assert best_ratio(ratios, [0.0, 0.3, 0.3, 0.5, 1.0], tau=0.0) == 0.0


@pytest.mark.parametrize('make', [classifier, detector])
@pytest.mark.parametrize('protect', ['none', 'worst_class', 'small_objects'])
def test_cutting_more_costs_more_attention_and_a_ratio_is_found(make, protect) -> None:
    model, task = make(), corner_task(16) if make is classifier else scene_task(8)
    graph = ChannelGraph.trace(model, task.example_input())
    scores = scale_scores(model, graph, apart=True)
    probe = AttentionProbe(model, graph, task, pictures=8, batch_size=4, protect=protect)
    assert probe.loss({}) == pytest.approx(0.0, abs=1e-12)
    choice = choose_ratio(probe, scores, ratios=(0.3, 0.5, 0.7, 0.9))
    assert choice.losses[1] < choice.losses[-1]
    assert choice.ratio in choice.ratios
    assert '%' in str(choice)


def test_the_worst_class_decides_where_it_is_protected() -> None:
    model, task = detector(), scene_task(8)
    graph = ChannelGraph.trace(model, task.example_input())
    gone = silent_at(scale_scores(model, graph, apart=True), 0.6)
    probe = AttentionProbe(model, graph, task, pictures=8, batch_size=4, protect='worst_class')
    losses = probe.losses(gone)
    assert losses.shape == (4,)
    seen = losses[~losses.isnan()]
    assert len(seen) > 1
    assert probe.loss(gone) == float(seen.max()) > float(seen.mean())


def test_every_group_goes_as_far_as_the_same_attention_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Group a loses nothing until half of it is gone; b loses most at once, then nothing more."""
    scores = {
        'a': {'x': torch.tensor([0.1, 0.2]), 'y': torch.tensor([0.3, 0.4])},
        'b': {'': torch.tensor([0.04, 0.03, 0.02, 0.01])},
    }

    def gone_of(masks) -> int:
        return sum(int(mask.sum()) for mask in masks.values())

    def loss(gone) -> float:
        return 2.0 * max(0, gone_of(gone['a']) - 2) if 'a' in gone else 1.0

    monkeypatch.setattr('uav_prune_perception.methods.l1rr.attention_shares.LEAST', 0)
    told: list[int] = []
    prices = attention_losses(scores, loss, ratios=(0.0, 0.25, 0.5, 0.75), tell=told.append)
    assert told == [1, 2], 'progress, group by group'
    first, second = torch.cat([prices['a']['x'], prices['a']['y']]), prices['b']['']
    assert first.argsort().tolist() == [0, 1, 2, 3]
    assert second.argsort().tolist() == [3, 2, 1, 0]
    assert float(first[1]) < float(second.min()), 'what costs nothing goes before all else'
    assert float(second[1]) < float(first[2]), 'a loss that is there already is not paid again'
    most = max(float(first[2]), float(second[1]))
    assert most < float(first[3]) == pytest.approx(float(second[0])), 'the last quarter: alike'


def test_a_network_without_batchnorm_behind_its_producers_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    graph = ChannelGraph.trace(model, torch.rand(1, 3, 8, 8))
    with pytest.raises(MethodError, match='no channel that can be cut has a BatchNorm'):
        scale_scores(model, graph, apart=True)


def test_a_layer_without_batchnorm_counts_like_an_average_one() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(),
        nn.Conv2d(6, 4, 3),
    )
    nn.init.uniform_(model[1].weight, 0.0, 0.5)
    graph = ChannelGraph.trace(model, torch.rand(1, 3, 9, 9))
    scores = scale_scores(model, graph, apart=True)
    assert float(scores['3'][''].mean()) == pytest.approx(
        float(model[1].weight.detach().mean()), rel=1e-5
    )
