# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Sparse training: an L1 penalty on the scales of every BatchNorm, residual ones included.

    L = L_task + lambda(t) sum_l sum_c w_lc |gamma_lc|  ( + lambda(t) b sum |beta_lc| )

as a gradient, gamma.grad += lambda(t) w sign(gamma), which is how network slimming's published
code does it. Network slimming is w = 1 with a constant lambda and no term on beta.

A gradient sparsifies by lr * lambda in a step: long runs of SGD want that. Where there are only
tens of steps, or an optimiser divides by the gradient's size (AdamW), scales would hardly move.
The proximal step (soft threshold, apart from the optimiser; Beck and Teboulle, FISTA, 2009) does
not ask for either:

    gamma <- sign(gamma) max(0, |gamma| - lambda(t) dt w mean_l |gamma|)

dt is the part of the run that the step is, so that lambda means the same however long the run is;
beta likewise, with b lambda.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.training.fit import FitHook

from .reweighting import Reweighting
from .strength import RampAndDecay, closed_loop, gone_share

Step = Literal['gradient', 'proximal']


@dataclass(frozen=True)
class SparsityOptions:
    """How the penalty works.

    Attributes:
        strength: lambda_0.
        reweight: every channel has its own share of the penalty (False: network slimming).
        dynamic: 'ramp' (rise, then decay), 'closed_loop' (follow ``wanted``) or 'constant'.
        rise: part of the run that the rise takes.
        decay: how much of lambda_0 is lost until the end.
        wanted: share of channels that should have gone at the end, for 'closed_loop'.
        eps: see `reweighting.channel_weights`.
        smoothing: of the magnitudes, from epoch to epoch.
        shift_factor: b, extra L1 on the shifts (beta); public YOLOv5 slimming uses 10.
        step: 'gradient' or 'proximal'; with the latter ``strength`` is the share of a layer's
            mean scale that the whole run takes from a channel of weight 1, were it constant.
    """

    strength: float = 1e-3
    reweight: bool = True
    dynamic: Literal['ramp', 'closed_loop', 'constant'] = 'ramp'
    rise: float = 0.1
    decay: float = 0.9
    wanted: float = 0.5
    eps: float = 0.1
    smoothing: float = 0.5
    shift_factor: float = 0.0
    step: Step = 'gradient'


class SparsityHook(FitHook):
    """Adds the penalty's gradient before each step.

    Args:
        model: the network that is going to be trained.
        options: how.

    Raises:
        MethodError: the network has no BatchNorm with a scale.
    """

    def __init__(self, model: nn.Module, options: SparsityOptions) -> None:
        self.options = options
        self.names = list(scaled_norms(model))
        self.reweighting = Reweighting(options.eps, options.smoothing)
        self.plan = RampAndDecay(options.strength, options.rise, options.decay)
        self.factor = 1.0
        self.done = 0.0

    @property
    def strength(self) -> float:
        """lambda(t) now."""
        if self.options.dynamic == 'constant':
            return self.options.strength
        if self.options.dynamic == 'closed_loop':
            rise = self.options.rise
            ramp = min(1.0, self.done / rise) if rise > 0 else 1.0
            return self.options.strength * ramp * self.factor
        return self.plan.at(self.done)

    def after_backward(self, model: nn.Module) -> None:
        """gamma.grad += lambda w sign(gamma), and the same for beta where asked."""
        if self.options.step == 'proximal':
            return
        for norm, strength, weights in self._pushes(model):
            _add(norm.weight, norm.weight.sign() * strength * weights)
            if norm.bias is not None:
                _add(norm.bias, norm.bias.sign() * (strength * self.options.shift_factor))

    def after_step(self, model: nn.Module, done: float) -> None:
        """Note how far the run is; the proximal step."""
        if self.options.step == 'proximal':
            for norm, strength, weights in self._pushes(model):
                least = strength * (done - self.done) * norm.weight.detach().abs().mean()
                _shrink(norm.weight, least * weights)
                if norm.bias is not None:
                    _shrink(norm.bias, least * self.options.shift_factor)
        self.done = done

    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Renew the weights, and in the closed loop the strength."""
        closed = self.options.dynamic == 'closed_loop'
        if self.options.reweight or closed:
            self._reweight(scaled_norms(model))
        if closed:
            wanted = self.options.wanted * self.done
            found = gone_share(self.reweighting.averages.values())
            self.factor = closed_loop(self.factor, found, wanted)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            'reweighting': self.reweighting.state_dict(), 'factor': self.factor,
            'done': self.done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.reweighting.load_state_dict(state['reweighting'])
        self.factor, self.done = float(state['factor']), float(state['done'])

    def _pushes(self, model: nn.Module) -> Iterator[tuple[_BatchNorm, float, Tensor | float]]:
        """Every BatchNorm, the strength now, and its channels' weights."""
        strength, norms = self.strength, scaled_norms(model)
        if self.options.reweight and not self.reweighting.weights:
            self._reweight(norms)
        for name, norm in norms.items():
            own = self.reweighting.weights[name].to(norm.weight) if self.options.reweight else 1.0
            yield norm, strength, own

    def _reweight(self, norms: dict[str, _BatchNorm]) -> None:
        self.reweighting.update({name: norm.weight for name, norm in norms.items()})


def scaled_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Every BatchNorm with a scale, by path.

    Raises:
        MethodError: there is none.
    """
    found = {
        name: module for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.weight is not None
    }
    if not found:
        raise MethodError(
            f'{type(model).__name__} has no BatchNorm with a scale, which is what L1RR and '
            'network slimming train to be sparse; choose another prune.method, such as l1'
        )
    return found


def _add(parameter: Tensor, push: Tensor) -> None:
    if parameter.grad is not None:
        parameter.grad.add_(push.detach().to(parameter.grad))


def _shrink(parameter: Tensor, size: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(parameter.sign() * (parameter.abs() - size).clamp(min=0))
