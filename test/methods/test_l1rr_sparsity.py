# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1RR's penalty: which channels it pushes, how hard, when, and how it goes on after a stop."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.l1rr.reweighting import Reweighting, channel_weights
from uav_prune_perception.methods.l1rr.sparsity import SparsityHook, SparsityOptions
from uav_prune_perception.methods.l1rr.strength import RampAndDecay, closed_loop, gone_share


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 6, 3, bias=False), nn.BatchNorm2d(6),
    )
    for norm in (model[1], model[4]):
        nn.init.uniform_(norm.weight, -0.2, 1.0)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    model(torch.randn(2, 3, 9, 9)).square().sum().backward()
    return model


def pushed(model: nn.Module, options: SparsityOptions, done: float = 0.5) -> dict[str, tuple]:
    """What the hook adds to the gradients of each BatchNorm: (scale, shift)."""
    before = {name: p.grad.clone() for name, p in model.named_parameters()}
    hook = SparsityHook(model, options)
    hook.after_step(model, done)
    hook.after_backward(model)
    added = {n: p.grad - before[n] for n, p in model.named_parameters()}
    assert not any(v.any() for n, v in added.items() if n in ('0.weight', '3.weight'))
    return {n: (added[f'{n}.weight'], added[f'{n}.bias']) for n in ('1', '4')}


def test_without_weights_and_with_constant_strength_it_is_network_slimming() -> None:
    model = network()
    options = SparsityOptions(strength=0.01, reweight=False, dynamic='constant')
    for name, (scale, shift) in pushed(model, options).items():
        gamma = model.get_submodule(name).weight
        assert scale == pytest.approx(0.01 * torch.sign(gamma).detach().numpy(), abs=1e-5)
        assert not shift.any()


def test_the_penalty_is_the_gradient_of_the_weighted_l1_norm() -> None:
    model = network()
    hook = SparsityHook(model, SparsityOptions(strength=0.02, dynamic='constant', shift_factor=5))
    twin = copy.deepcopy(model)
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        other.grad = own.grad.clone()
    hook.after_backward(model)
    loss = sum(
        (hook.reweighting.weights[n] * twin.get_submodule(n).weight.abs()).sum()
        + 5 * twin.get_submodule(n).bias.abs().sum()
        for n in ('1', '4')
    )
    (0.02 * loss).backward()
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(own.grad, other.grad, atol=1e-6)


def test_proximal_steps_reach_zero_and_mean_the_same_in_runs_of_any_length() -> None:
    ended = []
    for steps in (10, 80):
        model = network()
        before = {name: p.grad.clone() for name, p in model.named_parameters()}
        first = model[1].weight.detach().clone()
        hook = SparsityHook(model, SparsityOptions(
            strength=0.6, dynamic='constant', shift_factor=0.5, step='proximal',
        ))
        for step in range(steps):
            hook.after_backward(model)
            hook.after_step(model, (step + 1) / steps)
        assert all(torch.equal(p.grad, before[name]) for name, p in model.named_parameters())
        last = model[1].weight.detach()
        assert bool((last.abs() < first.abs()).all())
        assert bool((last * first >= 0).all()), 'no sign turns'
        assert bool((last == 0).any())
        assert float(last.abs().max()) > 0.5, 'large ones are nearly spared'
        ended.append(last)
    torch.testing.assert_close(ended[0], ended[1], rtol=0.1, atol=0.03)


def test_small_channels_are_pushed_harder_and_weights_have_mean_one() -> None:
    scales = torch.tensor([0.01, 0.2, 1.0, 1.5])
    weights = channel_weights(scales)
    assert weights.mean() == pytest.approx(1.0)
    assert bool((weights[:-1] > weights[1:]).all())
    assert torch.equal(channel_weights(torch.full((5,), 0.3)), torch.ones(5)), 'all alike'
    assert torch.equal(channel_weights(torch.zeros(5)), torch.ones(5)), 'all gone'
    assert torch.allclose(channel_weights(scales * 7), weights), 'relative to the layer'


def test_weights_are_clipped_and_follow_the_average_slowly() -> None:
    state = Reweighting(eps=0.0, smoothing=0.75)
    state.update({'a': torch.tensor([1e-9] + [1.0] * 99)})
    assert float(state.weights['a'].max()) == 10.0
    assert float(state.weights['a'].min()) == pytest.approx(0.1)
    state.update({'a': torch.full((100,), -1.0)})
    assert float(state.averages['a'][0]) == pytest.approx(0.25), 'a quarter of |-1| is new'


def test_strength_rises_then_decays() -> None:
    plan = RampAndDecay(1.0)
    assert plan.at(0.0) == 0.0
    assert plan.at(0.05) == pytest.approx(0.5 * (1 - 0.9 * 0.05))
    assert plan.at(0.1) == pytest.approx(0.91)
    assert plan.at(1.0) == pytest.approx(0.1)


def test_the_closed_loop_pushes_until_enough_channels_have_gone() -> None:
    assert gone_share([torch.tensor([1.0, 0.009, 0.5, 0.0])]) == 0.5
    assert closed_loop(1.0, found=0.1, wanted=0.4) == pytest.approx(1.1)
    assert closed_loop(1.0, found=0.6, wanted=0.4) == pytest.approx(0.9)
    model = network()
    hook = SparsityHook(model, SparsityOptions(dynamic='closed_loop', wanted=0.9, strength=0.1))
    for epoch in range(3):
        hook.after_step(model, (epoch + 1) / 3)
        hook.after_epoch(model, epoch)
    assert hook.strength == pytest.approx(0.1 * 1.1**3)


def test_a_resumed_hook_pushes_exactly_as_the_first_would_have() -> None:
    model = network()
    options = SparsityOptions(dynamic='closed_loop')
    first = SparsityHook(model, options)
    first.after_backward(model)
    first.after_step(model, 0.4)
    with torch.no_grad():
        model[1].weight.mul_(torch.linspace(0, 2, 8))
    first.after_epoch(model, 0)
    saved = copy.deepcopy(first.state_dict())
    twin = copy.deepcopy(model)
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        other.grad = own.grad.clone()
    second = SparsityHook(twin, options)
    second.load_state_dict(saved)
    first.after_backward(model)
    second.after_backward(twin)
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(own.grad, other.grad)


def test_a_network_without_batchnorm_is_refused_in_words() -> None:
    with pytest.raises(MethodError, match='no BatchNorm with a scale'):
        SparsityHook(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), SparsityOptions())
