# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A teacher of every layer: what it compares, and that it helps a cut network back."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.training.feature_distillation import FeatureDistillation


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 8, 3, padding=1, bias=False)
        self.behind = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        return self.head(self.behind(self.second(x)).relu().mean((2, 3)))


@pytest.fixture
def pair() -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """A cut network, the dense one, and what stayed."""
    torch.manual_seed(0)
    dense = Net().eval()
    graph = ChannelGraph.trace(dense, torch.randn(1, 3, 8, 8))
    plan = graph.plan({'first': torch.arange(12) % 3 > 0})
    kept = {cut.parameter: torch.tensor(cut.kept) for cut in plan.cuts if cut.dim == 0}
    return compact(dense, plan), dense, kept


def _penalty(hook: FeatureDistillation, student: nn.Module, images: Tensor) -> Tensor | None:
    hook.before_loss(student, images, None)
    student(images)
    return hook.penalty(student)


def test_channels_that_stayed_are_compared_with_themselves(pair) -> None:
    student, teacher, kept = pair
    images = torch.randn(4, 3, 8, 8)
    with FeatureDistillation(student, teacher, kept, 2.0) as hook:
        found = _penalty(hook, student.eval(), images).detach()
        # `norm` says what it said; `behind` misses what a third of its inputs brought
        with torch.no_grad():
            own = student.behind(student.second(student.norm(student.first(images)).relu()))
            wanted = teacher.behind(teacher.second(teacher.norm(teacher.first(images)).relu()))
        axes = (0, 2, 3)
        spread = wanted.var(axes, correction=0)
        error = (own - wanted).square().mean(axes) / (spread + 1e-3 * spread.mean())
    assert found.item() == pytest.approx(2.0 * float(error.mean()) / 2, rel=1e-4)


def test_tokens_have_their_channels_last() -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 4))
    kept = torch.tensor([0, 3, 11])  # more than there are tokens
    student = nn.Sequential(nn.Linear(6, 3), nn.GELU(), nn.Linear(3, 4))
    student[0].load_state_dict({'weight': teacher[0].weight[kept], 'bias': teacher[0].bias[kept]})
    student[2].load_state_dict({'weight': teacher[2].weight[:, kept], 'bias': teacher[2].bias})
    tokens = torch.randn(2, 5, 6)
    with FeatureDistillation(student, teacher, {'0.weight': kept}, 1.0) as hook:
        hook.before_loss(student, tokens, None)
        student(tokens)
        with torch.no_grad():
            own, wanted = student(tokens), teacher(tokens)
        spread = wanted.var((0, 1), correction=0)
        error = (own - wanted).square().mean((0, 1)) / (spread + 1e-3 * spread.mean())
        hook.before_loss(student, tokens, None)
        student(tokens)
        # the first layer says what it said; the mean is over the two
        found = hook.penalty(student).item()
    assert found == pytest.approx(float(error.mean()) / 2, rel=0.2)


def test_the_weight_falls_to_nothing_and_resumes(pair) -> None:
    student, teacher, kept = pair
    images = torch.randn(2, 3, 8, 8)
    with FeatureDistillation(student, teacher, kept, 1.0) as hook:
        whole = _penalty(hook, student.eval(), images).item()
        hook.after_step(student, 0.75)
        state = hook.state_dict()
        assert _penalty(hook, student, images).item() == pytest.approx(whole / 4, rel=1e-5)
        hook.after_step(student, 1.0)
        assert _penalty(hook, student, images).item() == 0.0
    with FeatureDistillation(student, teacher, kept, 1.0) as again:
        again.load_state_dict(state)
        assert _penalty(again, student, images).item() == pytest.approx(whole / 4, rel=1e-5)


def test_it_leaves_no_trace(pair) -> None:
    student, teacher, kept = pair
    with FeatureDistillation(student, teacher, kept, 1.0):
        assert student.norm._forward_hooks
        assert teacher.norm._forward_hooks
    assert not student.norm._forward_hooks
    assert not teacher.norm._forward_hooks


def test_a_layer_that_runs_twice_is_left_out() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    student = Twice()
    with FeatureDistillation(student, copy.deepcopy(student), {}, 1.0) as hook:
        assert _penalty(hook, student, torch.randn(1, 3, 4, 4)) is None


def test_few_steps_bring_a_cut_network_nearer(pair) -> None:
    student, teacher, kept = pair
    generator = torch.Generator().manual_seed(1)
    look = torch.randn(32, 3, 8, 8, generator=generator)
    wanted = teacher(look).detach()
    before = float((student.eval()(look) - wanted).square().mean())
    optimiser = torch.optim.SGD(student.parameters(), lr=0.05)
    with FeatureDistillation(student, teacher, kept, 1.0) as hook:
        for _ in range(60):
            images = torch.randn(16, 3, 8, 8, generator=generator)
            found = _penalty(hook, student, images)
            optimiser.zero_grad()
            found.backward()
            optimiser.step()
    after = float((student(look) - wanted).square().mean())
    assert after < 0.5 * before
