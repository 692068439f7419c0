# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The plain scores: what each calls important, and that each makes a ladder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_job import Quiet, build, classifier, recipe
from tiny_networks import Chain
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.fpgm import GeometricMedian
from uav_prune_perception.methods.interfaces import LevelContext
from uav_prune_perception.methods.l1 import L2Magnitude
from uav_prune_perception.methods.random_choice import RandomChoice
from uav_prune_perception.methods.taylor import TaylorImportance, TaylorOptions


class Labels:
    """A task of two batches that never ends."""

    def train_batches(self, epoch: int, batch_size: int, generator: torch.Generator):
        for _ in range(2):
            images = torch.randn(batch_size, 3, 8, 8, generator=generator)
            yield images, (images.mean((1, 2, 3)) > 0).long()

    def loss(self, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(images), targets)


@pytest.fixture
def context() -> LevelContext:
    torch.manual_seed(0)
    model = Chain().eval()
    graph = ChannelGraph.trace(model, torch.randn(1, 3, 8, 8))
    return LevelContext(
        model, graph, Labels(), {}, None, '', 5, Quiet(), None, graph.cost()  # type: ignore[arg-type]
    )


def test_the_geometric_median_finds_what_others_can_replace(context: LevelContext) -> None:
    weight = context.model.second.weight
    with torch.no_grad():
        weight[2] = weight.mean(0)  # in the middle of them all, though not small
        weight[4] = 10 * weight[4]
    scores = GeometricMedian().score(context)['second']
    assert scores.argmin() == 2
    assert scores.argmax() == 4


def test_l2_is_the_norm_over_its_mean(context: LevelContext) -> None:
    norms = context.model.second.weight.detach().double().flatten(1).norm(dim=1)
    torch.testing.assert_close(L2Magnitude().score(context)['second'], norms / norms.mean())


def test_chance_depends_on_the_seed_alone(context: LevelContext) -> None:
    assert torch.equal(
        RandomChoice().score(context)['first'], RandomChoice().score(context)['first']
    )


def test_taylor_is_the_first_order_change_of_the_loss(context: LevelContext) -> None:
    """Against finite differences: scale a channel's gate a little, look at the loss."""
    scorer = TaylorImportance(TaylorOptions(batches=1, batch_size=16))
    scores = scorer.score(context)
    ((images, targets),) = list(scorer._batches(context))
    model, step = context.model, 1e-2
    assert not model.training, 'the model is left as it was'
    for channel in range(8):
        losses = []
        for sign in (1, -1):
            gates = (model.norm.weight, model.norm.bias)
            with torch.no_grad():
                before = [gate[channel].clone() for gate in gates]
                for gate in gates:
                    gate[channel] *= 1 + sign * step
                losses.append(float(context.task.loss(model, images, targets)))
                for gate, value in zip(gates, before, strict=True):
                    gate[channel] = value
        change = (losses[0] - losses[1]) / (2 * step)
        assert float(scores['first'][channel]) == pytest.approx(change**2, rel=0.2, abs=1e-7)


def test_taylor_does_not_take_a_dead_channel_for_important(context: LevelContext) -> None:
    with torch.no_grad():
        context.model.second.weight[:, 3] = 0.0
        context.model.second.weight[1] = 0.0
        context.model.second.bias[1] = 0.0
    scores = TaylorImportance(TaylorOptions(batches=3)).score(context)
    assert float(scores['first'][3]) == 0.0
    assert float(scores['second'][1]) == 0.0
    assert float(scores['first'].max()) > 0.0


@pytest.mark.parametrize('method', ['l2', 'fpgm', 'random', 'taylor'])
def test_each_makes_a_level(tmp_path: Path, method: str) -> None:
    job = classifier(
        tmp_path, f'prune.method={method}', 'train.epochs=1', 'prune.levels=[{kept_macs: 0.5}]'
    )
    (level,) = build(job, tmp_path)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)


def test_taylor_prunes_a_detector(tmp_path: Path) -> None:
    job = recipe(
        tmp_path, 'prune.method=taylor', 'prune.options={batches: 2, batch_size: 4}',
        'train.epochs=1', 'prune.levels=[{kept_macs: 0.5}]',
    )
    (level,) = build(job, tmp_path)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)
