# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Torch-Pruning's own pruners in our harness (MIT; installed by who wants these rows)."""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from uav_prune_perception.training.fit import FitHook

STEPS = 200  # half a per cent of all channels at a time, so that it can stop at the budget
MAX_CUT = 0.9
TAYLOR_BATCHES = 8


def available() -> bool:
    """Torch-Pruning can be imported."""
    return importlib.util.find_spec('torch_pruning') is not None


def macs_of(model: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of one picture, by torch's own counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(example)
    return counter.get_total_flops() // 2


class TorchPruner:
    """One of its pruners, on a copy of the dense network.

    Args:
        kind: magnitude (L1), bn_scale, group_norm (L2), group_sl (the same after sparse
            training), or taylor.
        dense: the trained network, which stays as it is.
        example: float32 [1, C, H, W].
        rigid: modules it must leave alone.
        steps: in how many it would cut everything.
    """

    def __init__(
        self, kind: str, dense: nn.Module, example: Tensor, rigid: Iterable[str],
        steps: int = STEPS,
    ) -> None:
        import torch_pruning as tp

        self.kind, self.example, self.steps = kind, example, steps
        self.model = copy.deepcopy(dense)
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        importance: Any = {
            'magnitude': lambda: tp.importance.GroupMagnitudeImportance(p=1),
            'bn_scale': tp.importance.BNScaleImportance,
            'group_norm': lambda: tp.importance.GroupMagnitudeImportance(p=2),
            'group_sl': lambda: tp.importance.GroupMagnitudeImportance(p=2),
            'taylor': tp.importance.GroupTaylorImportance,
        }[kind]()
        made: Any = {
            'magnitude': tp.pruner.MagnitudePruner, 'taylor': tp.pruner.MagnitudePruner,
            'bn_scale': tp.pruner.BNScalePruner,
            'group_norm': tp.pruner.GroupNormPruner, 'group_sl': tp.pruner.GroupNormPruner,
        }[kind]
        modules = dict(self.model.named_modules())
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            self.pruner = made(
                self.model, example, importance=importance, global_pruning=True,
                pruning_ratio=1.0, max_pruning_ratio=MAX_CUT, iterative_steps=steps,
                ignored_layers=[modules[name] for name in rigid],
            )

    def hook(self) -> FitHook:
        """For its sparse training."""
        return _Regularise(self.pruner)

    def gradients(self, batches: Iterable[tuple[Tensor, Tensor]], device: str) -> None:
        """What its Taylor importance reads."""
        self.model.to(device).eval().zero_grad()
        for images, labels in batches:
            logits = self.model(images.to(device))
            nn.functional.cross_entropy(logits, labels.to(device)).backward()
        self.model.to('cpu')  # the gradients go with it

    def cut(
        self, share: float, cost: Callable[[nn.Module, Tensor], int] = macs_of
    ) -> nn.Module:
        """Step by step down to ``share`` of the dense MACs, or of another cost.

        Raises:
            RuntimeError: it cannot get there, or leaves a network that does not run.
        """
        full = cost(self.model, self.example)
        for _ in range(self.steps):
            if cost(self.model, self.example) <= 1.01 * share * full:
                self.model.zero_grad()
                return self.model
            self.pruner.step()
        raise RuntimeError(f'Torch-Pruning {self.kind} does not reach {share:.0%} of the cost')


def kept_channels(dense: nn.Module, small: nn.Module) -> dict[str, Tensor]:
    """Which entries of each BatchNorm its cut has left, found by their values.

    Args:
        dense: the network that was cut.
        small: what is left, before anything was learnt or measured anew.

    Raises:
        RuntimeError: two entries of a layer are equal, or one is new.
    """
    before = dict(dense.named_modules())
    kept = {}
    for path, norm in small.named_modules():
        if isinstance(norm, _BatchNorm):
            left = torch.stack([norm.running_mean, norm.weight, norm.bias], 1)
            old = before[path]
            whole = torch.stack([old.running_mean, old.weight, old.bias], 1)
            same = (left[:, None] == whole[None]).all(2)
            if not bool((same.sum(1) == 1).all()):
                raise RuntimeError(f'{path}: the channels that stayed cannot be told apart')
            kept[f'{path}.weight'] = same.int().argmax(1)
    return kept


class _Regularise(FitHook):
    """Its sparse training, called as in its own script."""

    def __init__(self, pruner: Any) -> None:
        self.pruner = pruner
        pruner.update_regularizer()

    def after_backward(self, model: nn.Module) -> None:
        self.pruner.regularize(model)
