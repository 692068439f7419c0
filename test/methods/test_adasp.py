# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""AdaSP: its schedule, its ratios, masks that let filters come back, and an exact cut."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_job import Quiet, build, classifier, recipe
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.methods.adasp import AdaptiveMasks, AdaSPOptions
from uav_prune_perception.methods.adasp.ratios import (
    Widths,
    by_movement,
    by_threshold,
    cost_aware,
    uniform,
)
from uav_prune_perception.methods.adasp.schedule import asymptotic, constant, steepness
from uav_prune_perception.methods.interfaces import Bounds, Budget, LevelContext


class Net(nn.Module):
    """A stem and a branch that are added, with BatchNorm, and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(12)
        self.inner = nn.Conv2d(12, 16, 3, padding=1, bias=False)
        self.inner_bn = nn.BatchNorm2d(16)
        self.outer = nn.Conv2d(16, 20, 3, padding=1, bias=False)
        self.outer_bn = nn.BatchNorm2d(20)
        self.projection = nn.Conv2d(12, 20, 1, bias=False)
        self.projection_bn = nn.BatchNorm2d(20)
        self.head = nn.Linear(20, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_bn(self.stem(x)).relu()
        y = self.outer_bn(self.outer(self.inner_bn(self.inner(x)).relu()))
        return self.head((y + self.projection_bn(self.projection(x))).relu().mean((2, 3)))


def context_of(model: nn.Module, kept: float = 0.5, least: int = 2) -> LevelContext:
    graph = ChannelGraph.trace(model, torch.randn(1, 3, 8, 8))
    full = graph.cost().macs
    budget = Budget('macs', kept * full, full, lambda keep: graph.cost(keep).macs)
    bounds = {group.name: Bounds(least) for group in graph.groups}
    return LevelContext(
        model, graph, None, bounds, budget, 'l', 0, Quiet(), None, graph.cost()  # type: ignore[arg-type]
    )


@pytest.fixture
def model() -> Net:
    torch.manual_seed(0)
    return Net()


def hook_of(model: Net, **options: object) -> AdaptiveMasks:
    return AdaptiveMasks(context_of(model.eval()), AdaSPOptions(**options))


def learn(model: nn.Module, hook: AdaptiveMasks, epochs: int = 4, steps: int = 5) -> None:
    """A little training on noise, as `fit` does it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(3)
    model.train()
    for epoch in range(epochs):
        for step in range(steps):
            images = torch.randn(8, 3, 8, 8, generator=generator)
            labels = (images.mean((1, 2, 3)) > 0).long()
            hook.before_loss(model, images, labels)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            hook.before_clip(model)
            optimizer.step()
            hook.after_step(model, (epoch * steps + step + 1) / (epochs * steps))
        hook.after_epoch(model, epoch)
    model.eval()


def test_the_schedule_goes_through_its_three_points() -> None:
    assert steepness() == pytest.approx(11.09, abs=0.01)
    assert asymptotic(0.0) == 0.0
    assert asymptotic(1 / 8) == pytest.approx(0.75, abs=1e-9)
    assert asymptotic(1.0) == pytest.approx(1.0, abs=1e-12)
    # The figures of METHODS 1.4 for P = 0.40 and E = 100.
    for epoch, wanted in ((1, 0.042), (5, 0.170), (12.5, 0.300), (25, 0.375), (50, 0.398)):
        assert 0.40 * asymptotic(epoch / 100) == pytest.approx(wanted, abs=6e-4)
    assert constant(0.01) == 1.0


@pytest.fixture
def widths(model: Net) -> Widths:
    graph = ChannelGraph.trace(model.eval(), torch.randn(1, 3, 8, 8))
    cost = graph.width_cost()
    return Widths(cost, 'macs', cost.full, np.full(len(cost.full), 2.0))


@pytest.mark.parametrize('share', [0.8, 0.5, 0.2])
def test_every_allocator_meets_the_target_by_less_than_one_filter(
    widths: Widths, share: float
) -> None:
    target = share * widths.price(widths.full)
    random = np.random.default_rng(0)
    keys = [random.random(int(n)) for n in widths.full]
    found = {
        'A0': uniform(widths, target),
        'A1': by_threshold(keys, widths, target),
        'A2': by_movement(random.random(len(widths.full)), widths, target),
    }
    for name, ratios in found.items():
        kept = widths.full * (1 - ratios)
        assert widths.price(kept) <= target * (1 + 1e-6), name
        one_more = np.minimum(widths.full, kept + 1.0)
        assert widths.price(one_more) > target, name
        assert (kept >= widths.least - 1e-9).all(), name


def test_ratios_follow_the_weights(widths: Widths) -> None:
    target = 0.5 * widths.price(widths.full)
    keys = [np.ones(int(n)) + 0.1 * np.arange(n) / n for n in widths.full]
    keys[1][:8] = 0.01  # a layer with many filters that carry nothing
    ratios = by_threshold(keys, widths, target)
    assert ratios.argmax() == 1
    calm = by_movement(np.array([1.0, 0.1, 1.0]), widths, target)
    assert calm.argmax() == 1, 'what still moves keeps more'
    dear = cost_aware([np.ones(3)] * 3, 1.0, widths.full, widths)
    saved = widths.cost.marginal('macs', widths.full)
    assert np.argmin([key[0] for key in dear]) == saved.argmax(), 'dear filters go first'
    assert cost_aware(keys, 0.0, widths.full, widths)[0] is keys[0]


@pytest.mark.parametrize('ratios', ['uniform', 'energy', 'movement', 'gamma'])
@pytest.mark.parametrize('freeze', [0.0, 0.25])
def test_the_cut_is_exact_and_the_masked_network_is_the_compact_one(
    model: Net, ratios: str, freeze: float
) -> None:
    hook = hook_of(model, ratios=ratios, freeze=freeze)
    learn(model, hook)
    keep = hook.keep(hook.context.asked)
    assert hook.context.asked.miss(keep) <= 0.01
    assert all(int(kept.sum()) >= 2 for kept in keep.values())
    small = compact(model, hook.context.graph.plan(keep)).eval()
    hook.before_evaluation(model)
    picture = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(small(picture), model(picture), atol=1e-5, rtol=0)


def test_a_zeroed_filter_regrows_after_one_step_and_keeps_its_scale(model: Net) -> None:
    hook = hook_of(model, freeze=0.0)
    hook.ratios = np.full(len(hook.filters), 0.25)
    with torch.no_grad():
        model.inner_bn.bias.fill_(0.1)  # behind a ReLU a constant below 0 passes no gradient
    hook._mask(model)
    masked = hook.masked['inner']
    assert bool(masked.any())
    assert not bool(model.inner.weight[masked].any()), 'the weights are zero'
    assert bool((model.inner_bn.weight[masked] != 0).all()), 'the scale is not'
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    assert bool((model.inner.weight[masked].flatten(1).norm(dim=1) > 0).all())


def test_with_the_scale_at_zero_too_it_would_not_regrow(model: Net) -> None:
    """Why `scale_weights` leaves BatchNorm alone."""
    with torch.no_grad():
        model.inner.weight[0] = 0.0
        model.inner_bn.weight[0] = 0.0
        model.inner_bn.bias[0] = 0.0
    model.train()
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert not bool(model.inner.weight.grad[0].any())
    assert float(model.inner_bn.weight.grad[0]) == 0.0


def test_filters_come_back(model: Net) -> None:
    hook = hook_of(model, freeze=0.0, schedule='constant')
    seen: list[dict[str, Tensor]] = []
    mask = hook._mask

    def noted(net: nn.Module) -> None:
        mask(net)
        seen.append({name: masked.clone() for name, masked in hook.masked.items()})

    hook._mask = noted  # type: ignore[method-assign]
    learn(model, hook, epochs=12, steps=8)
    back = sum(
        int((before[name] & ~after[name]).sum())
        for before, after in itertools.pairwise(seen) for name in before
    )
    assert back > 0


def test_the_first_gradient_of_a_zeroed_filter_is_limited(model: Net) -> None:
    hook = hook_of(model, regrow_clip=2.0)
    hook.masked['inner'][:4] = True
    hook.age = 0
    filters = next(filters for filters in hook.filters if filters.name == 'inner')
    filters.scale_weights(model, hook.masked['inner'], 0.0)
    with torch.no_grad():
        model.inner_bn.bias.fill_(0.1)
    model.train()
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()

    def norms() -> Tensor:
        return model.inner.weight.grad.flatten(1).norm(dim=1)

    usual = norms()[4:].mean()
    assert float((norms()[:4] / usual).max()) > 50, 'BatchNorm divides by sqrt(eps)'
    hook.before_clip(model)
    assert float((norms()[:4] / usual).max()) <= 2.0 + 1e-4
    assert float(norms()[4:].mean()) == pytest.approx(float(usual)), 'the others are left alone'


def test_softer_masks_shrink_instead_of_zeroing(model: Net) -> None:
    hook = hook_of(model, softness=0.5)
    hook.ratios = np.full(len(hook.filters), 0.25)
    before = model.inner.weight.detach().clone()
    hook._mask(model)
    masked = hook.masked['inner']
    torch.testing.assert_close(model.inner.weight.detach()[masked], 0.5 * before[masked])
    torch.testing.assert_close(model.inner.weight.detach()[~masked], before[~masked])


def test_frozen_masks_last_an_epoch_at_least(model: Net) -> None:
    hook = hook_of(model, freeze=0.01)
    hook.done = 0.5
    hook.after_epoch(model, 1)
    assert not hook.frozen, 'two epochs of four are over'
    hook.done = 0.75
    hook.after_epoch(model, 2)
    assert hook.frozen


def test_a_residual_stream_and_its_projection_are_masked_together(model: Net) -> None:
    hook = hook_of(model)
    learn(model, hook)
    (stream,) = [name for name in hook.masked if name in ('outer', 'projection')]
    masked = hook.masked[stream]
    assert bool(masked.any())
    for layer in (model.outer, model.projection):
        assert not bool(layer.weight[masked].any())


def test_only_late_epochs_may_be_the_best(model: Net) -> None:
    hook = hook_of(model, freeze=0.0)
    hook.done = 0.125
    assert not hook.may_end(0), 'three quarters of the target are not the target'
    hook.done = 0.5
    assert hook.may_end(0)
    assert not hook_of(model, freeze=0.1).may_end(0), 'masks are not final yet'


# -- whole jobs ------------------------------------------------------------------------------


def test_a_ladder_without_any_other_training(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, 'prune.method=adasp', 'finetune=null', 'train.epochs=5',
        'prune.levels=[{kept_macs: 0.3}, {kept_params: 0.35}]',
    )
    reporter = Quiet()
    levels = {level.name: level for level in build(job, tmp_path, reporter=reporter)}
    assert levels['30'].kept_macs == pytest.approx(0.3, rel=0.01)
    whole = sum(p.numel() for p in dense().parameters())
    assert levels['35'].params / whole == pytest.approx(0.35, rel=0.01)
    assert all(level.val.value > 0.8 for level in levels.values()), 'red and blue differ'
    assert not any('dense network' in line or 'fine-tuning' in line for line in reporter.lines)


def dense() -> nn.Module:
    from uav_prune_perception.networks.registry import build_network

    return build_network('resnet_cifar', classes=2, depth=8)


def test_interrupted_it_ends_with_the_same_network(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, 'prune.method=adasp', 'finetune=null', 'prune.levels=[{kept_macs: 0.5}]',
        'prune.options.ratios=movement', 'prune.options.freeze=0.4',
        'soft={epochs: 5, batch_size: 16, threads: 1, evaluate_every: 1, keep_best: true}',
    )
    (whole,) = build(job, tmp_path / 'whole')

    class Stops(Quiet):
        def step(self, done: int, text: str = '') -> None:
            if text.startswith('epoch 4/5'):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path / 'broken', reporter=Stops())
    (resumed,) = build(job, tmp_path / 'broken')
    assert resumed.plan.to_json() == whole.plan.to_json()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_the_detector_too(tmp_path: Path) -> None:
    job = recipe(
        tmp_path, 'prune.method=adasp', 'finetune=null', 'prune.levels=[{kept_macs: 0.5}]'
    )
    (level,) = build(job, tmp_path)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)
    with torch.no_grad():
        assert level.model(torch.rand(1, 3, 64, 96)).shape[1] == 8, 'the head is whole'


def test_from_the_level_above(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, 'prune.method=sfp', 'prune.options.start=dense', 'finetune=null',
        'soft={epochs: 1, batch_size: 16, threads: 1}', 'train.epochs=1',
    )
    top, middle, low = build(job, tmp_path)
    assert [middle.kept_macs, low.kept_macs] == pytest.approx([0.6, 0.3], rel=0.01)
    assert top.kept_macs == 1.0
