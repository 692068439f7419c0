# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every slot of a method, filled with the plainest thing that can be, through the one driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_job import Quiet, build
from tiny_job import classifier as recipe
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uav_prune_perception.channels import branch_magnitude, load_pruned, magnitude
from uav_prune_perception.methods.allocation import GlobalThreshold
from uav_prune_perception.methods.interfaces import (
    Budget,
    Keep,
    LevelContext,
    Method,
    MethodError,
    Scores,
    SoftMasks,
)
from uav_prune_perception.methods.l1 import L1Magnitude
from uav_prune_perception.methods.search_interfaces import Trial
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.fit import FitHook


class Branches:
    """L2, branch by branch where producers are coupled."""

    def score(self, context: LevelContext) -> Scores:
        groups = context.graph.groups
        whole = magnitude(context.model, groups, 'l2')
        return {**whole, **branch_magnitude(context.model, groups, 'l2')}


class Shrink(FitHook):
    def __init__(self) -> None:
        self.batches = 0

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        self.batches += len(images)

    def penalty(self, model: nn.Module) -> Tensor:
        return 1e-3 * sum(p.abs().sum() for p in model.parameters() if p.ndim == 1)


class Sparse:
    def __init__(self) -> None:
        self.hooks: list[Shrink] = []

    def begin(self, context: LevelContext) -> FitHook:
        assert context.budget is None
        self.hooks.append(Shrink())
        return self.hooks[-1]


class LastWeights(SoftMasks):
    def __init__(self, context: LevelContext) -> None:
        self.context = context

    def keep(self, budget: Budget) -> Keep:
        scores = L1Magnitude().score(self.context)
        return GlobalThreshold().allocate(scores, budget, self.context)


class Soft:
    def __init__(self, start: str) -> None:
        self.start = start

    def begin(self, context: LevelContext) -> SoftMasks:
        return LastWeights(context)


class ThreeTries:
    """Proposes three random structures within the budget."""

    def __init__(self, context: LevelContext) -> None:
        self.context, self.done, self.won = context, 0, (0.0, -1)

    def at(self, index: int) -> Keep:
        generator = torch.Generator().manual_seed(index)
        scores = {
            group.name: torch.rand(group.width, generator=generator)
            for group in self.context.graph.groups
        }
        return GlobalThreshold().allocate(scores, self.context.asked, self.context)

    def propose(self) -> Keep | None:
        return self.at(self.done) if self.done < 3 else None

    def inherit(self, small: nn.Module, keep: Keep) -> None:
        pass

    def tell(self, trial: Trial) -> bool:
        self.done += 1
        better = trial.accuracy > self.won[0] or self.won[1] < 0
        if better:
            self.won = (trial.accuracy, trial.index)
        return better

    def best(self) -> Keep:
        return self.at(self.won[1])

    def state_dict(self) -> dict[str, Any]:
        return {'done': self.done, 'won': list(self.won)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done, self.won = state['done'], tuple(state['won'])


class Search:
    def begin(self, context: LevelContext, scores: Scores | None) -> ThreeTries:
        return ThreeTries(context)

    def trials(self) -> int:
        return 3


def dense() -> nn.Module:
    return build_network('resnet_cifar', classes=2, depth=8)


def check(levels: list[Any], asked: list[float]) -> None:
    assert [level.kept_macs for level in levels] == pytest.approx(asked, rel=0.01)
    for level in levels:
        again = load_pruned(dense, level.files['plan.json'].parent).eval()
        picture = torch.rand(1, 3, 16, 16)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            torch.testing.assert_close(again(picture), level.model(picture))
        assert counter.get_total_flops() / 4 == pytest.approx(level.macs, rel=1e-3)


@pytest.mark.parametrize('start', ['previous', 'dense'])
def test_branches_of_a_residual_stream_keep_channels_of_their_own(
    tmp_path: Path, start: str
) -> None:
    job = recipe(tmp_path, f'prune.from={start}')
    levels = build(job, tmp_path, Method(score=Branches(), residual=True))
    check(levels, [1.0, 0.6, 0.3])
    assert all(level.plan.placements for level in levels[1:])
    if start == 'previous':
        upper, lower = (kept_filters(level.plan) for level in levels[1:])
        assert all(lower[name] <= upper[name] for name in upper)


def kept_filters(plan: Any) -> dict[str, set[int]]:
    return {
        cut.parameter: set(cut.kept) for cut in plan.cuts
        if cut.dim == 0 and cut.parameter.endswith('conv.weight')
    }


def test_sparse_training_is_done_once_for_all_levels(tmp_path: Path) -> None:
    job = recipe(tmp_path, 'sparse.epochs=1', 'sparse.batch_size=16')
    slot, reporter = Sparse(), Quiet()
    method = Method(score=L1Magnitude(), sparse=slot)
    check(build(job, tmp_path, method, reporter), [1.0, 0.6, 0.3])
    assert [hook.batches for hook in slot.hooks] == [48]
    assert reporter.lines.count('sparse training') == 1
    build(job, tmp_path, method, reporter)
    assert len(slot.hooks) == 1, 'found from the earlier run'


@pytest.mark.parametrize('start', ['scratch', 'dense'])
def test_masks_in_training_make_the_level_in_one_run(tmp_path: Path, start: str) -> None:
    job = recipe(tmp_path, 'prune.levels=[{kept_macs: 0.5}]', 'finetune=null')
    reporter = Quiet()
    method = Method(in_training=Soft(start), recovery='none')
    check(build(job, tmp_path, method, reporter), [0.5])
    assert ('training the dense network' in reporter.lines) == (start == 'dense')
    assert '50: training with masks' in reporter.lines


def test_a_search_trains_each_candidate_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    job = recipe(
        tmp_path, 'search.epochs=1', 'search.batch_size=16', 'prune.levels=[{kept_macs: 0.5}]'
    )
    method = Method(search=Search())
    check(build(job, tmp_path / 'whole', method), [0.5])
    whole = build(job, tmp_path / 'whole', method)

    class Stops(Quiet):
        def phase(self, title: str, steps: int) -> None:
            super().phase(title, steps)
            if title == '50: trial 3':
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path / 'broken', method, Stops())
    reporter = Quiet()
    resumed = build(job, tmp_path / 'broken', method, reporter)
    assert [line for line in reporter.lines if 'trial' in line and ':' not in line[3:]]
    assert '50: trial 1' not in reporter.lines
    for name, value in whole[0].model.state_dict().items():
        assert torch.equal(value, resumed[0].model.state_dict()[name]), name


def test_parameters_can_be_the_budget(tmp_path: Path) -> None:
    job = recipe(tmp_path, 'prune.levels=[{kept_macs: 1.0}, {kept_params: 0.4}]')
    dense, level = build(job, tmp_path)
    assert level.params / dense.params == pytest.approx(0.4, rel=0.01)
    job = recipe(tmp_path, 'prune.levels=[{kept_params: 0.01}]')
    with pytest.raises(MethodError, match=r'asks for 1\.0% of the parameters'):
        build(job, tmp_path)


def test_a_method_that_misses_its_budget_is_caught(tmp_path: Path) -> None:
    class Whole:
        def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
            return {}

    job = recipe(tmp_path, 'train.epochs=1')
    with pytest.raises(MethodError, match=r'level 60: method l1 chose .* where .* were asked'):
        build(job, tmp_path, Method(score=L1Magnitude(), allocator=Whole()))
