# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of methods runs: problems, contenders, and how much each may learn."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from methods_rivals import available
from resumable import machine

from uav_prune_perception.methods.recipe import RecoverySection
from uav_prune_perception.methods.registry import ALLOCATORS, method_factories

CUTS = (0.50, 0.70, 0.84)  # of the MACs
AUGMENTATION = {'kind': 'crop_flip', 'pad': 4}


@dataclass(frozen=True)
class Problem:
    """A data set and a trained network.

    Attributes:
        name: for the table.
        data: of a recipe; ``root`` is relative to the data folder.
        network: of a recipe; ``weights`` likewise, or absent: then ``dense_epochs`` train it.
        dense_epochs: whole passes over the data.
        rigid: modules whose outputs Torch-Pruning must leave alone, because it cuts the network
            wrong otherwise (zero-padded shortcuts).
    """

    name: str
    data: dict[str, Any]
    network: dict[str, Any]
    dense_epochs: int = 0
    rigid: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """How a benchmark is run.

    Attributes:
        name: for the rows.
        problems: in order.
        epochs: rounds of fine-tuning, on the whole; see ``steps``.
        steps: optimiser steps of a round; None: a whole pass over the data.
        batch_size: pictures in a step.
        lr: peak; SGD with Nesterov momentum, one cosine.
        seeds: how many.
        device: 'cpu' or 'cuda'.
        amp: bfloat16 where that is safe.
        minutes: no run is begun after this.
        val_limit: pictures of val that are looked at.
    """

    name: str
    problems: tuple[Problem, ...]
    epochs: int
    steps: int | None
    batch_size: int
    lr: float
    seeds: int = 3
    first_seed: int = 0
    cuts: tuple[float, ...] = CUTS
    device: str = 'cpu'
    amp: bool = False
    minutes: float | None = None
    val_limit: int | None = None

    @property
    def pictures(self) -> int | None:
        """Of an epoch; None: all."""
        return None if self.steps is None else self.steps * self.batch_size

    def fit(self, part: float = 1.0) -> dict[str, Any]:
        """A training section with a part of the whole budget."""
        return {
            'epochs': round(part * self.epochs), 'batch_size': self.batch_size, 'lr': self.lr,
            'optimizer': 'sgd', 'weight_decay': 5e-4, 'warmup_epochs': 0.0, 'ema': False,
            'clip_norm': 5.0, 'final_lr': 0.01, 'device': self.device, 'amp': self.amp,
        }


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: for the table.
        origin: 'ours', 'baseline', 'method' (of a paper), or 'Torch-Pruning'.
        method: `prune.method` of a recipe, or the kind of Torch-Pruning's pruner.
        options: `prune.options`.
        allocation: `prune.allocation`.
        parts: share of the budget by phase of the recipe; the rest is for ``finetune``.
        distil: the dense network teaches.
        prune: further keys of `prune`.
        finetune: further keys of `finetune`.
        note: what a reader must know to judge the row.
        settings: the only ones in which it runs; none named: in all.
    """

    name: str
    origin: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    allocation: str | None = None
    parts: dict[str, float] = field(default_factory=dict)
    distil: bool = False
    prune: dict[str, Any] = field(default_factory=dict)
    finetune: dict[str, Any] = field(default_factory=dict)
    note: str = ''
    settings: tuple[str, ...] = ()

    @property
    def recipe(self) -> dict[str, Any]:
        """What its rows must name, so that they can be told from those of other options."""
        return {
            'method': self.method, 'options': self.options, 'allocation': self.allocation,
            'parts': self.parts, 'distil': self.distil, 'prune': self.prune,
            'finetune': self.finetune,
        }


def about(
    setting: Setting, contender: Contender | None, key: str, seed: int
) -> dict[str, Any]:
    """What a row says of its run before anything is measured; no contender: the dense network."""
    return {
        'key': key, 'setting': setting.name, 'machine': machine(setting.device), 'seed': seed,
        'name': contender.name if contender else 'dense',
        'origin': contender.origin if contender else 'dense',
        'note': contender.note if contender else '',
        'budget': setting.epochs * (setting.steps or 0), 'epochs': setting.epochs,
        'batch_size': setting.batch_size,
    }


def runnable(
    contenders: Iterable[Contender], only: Sequence[str], setting: Setting
) -> list[Contender]:
    """Those that can run here; the others are named with the reason.

    Args:
        contenders: all.
        only: with one of these words in the name; none given: all.
        setting: some run in certain ones only.
    """
    found = []
    factories = method_factories()
    for contender in contenders:
        if only and not any(word.lower() in contender.name.lower() for word in only):
            continue
        if contender.settings and setting.name not in contender.settings:
            continue
        reason = None
        if contender.origin == 'Torch-Pruning':
            reason = None if available() else 'Torch-Pruning is not installed'
        elif contender.method not in factories:
            reason = f'no method "{contender.method}" in this version'
        elif contender.allocation and contender.allocation not in ALLOCATORS:
            reason = f'no allocation "{contender.allocation}" in this version'
        if reason:
            print(f'skipped: {contender.name}: {reason}', file=sys.stderr)
        else:
            found.append(contender)
    return found


def cifar_resnet(depth: int, val: int, trained: bool, dense_epochs: int = 60) -> Problem:
    """A CIFAR ResNet with option A shortcuts; published weights where ``trained``."""
    blocks = (depth - 2) // 6
    rigid = ('conv1', 'linear', *(
        f'layer{stage}.{block}.conv2' for stage in (1, 2, 3) for block in range(blocks)
    ))
    network: dict[str, Any] = {'name': 'resnet_cifar', 'options': {'depth': depth}}
    if trained:
        network['weights'] = f'weights/cifar10_resnet{depth}.safetensors'
    return Problem(
        f'CIFAR-10 ResNet-{depth}',
        {'kind': 'cifar10', 'root': 'cifar10', 'val': val, 'augmentation': AUGMENTATION},
        network, 0 if trained else dense_epochs, rigid,
    )


EUROSAT = Problem(
    'EuroSAT ResNet-14',
    {'kind': 'eurosat', 'root': 'eurosat_rgb', 'side': 32, 'mean': 0.5, 'std': 0.5,
     'augmentation': {**AUGMENTATION, 'quarter_turns': True}},
    {'name': 'resnet18', 'options': {'layers': [2, 2, 2], 'widths': [32, 64, 128]},
     'weights': 'weights/eurosat_resnet_baseline.safetensors'},
    rigid=('fc',),
)
VGG = Problem(
    'CIFAR-10 VGG-16',
    {'kind': 'cifar10', 'root': 'cifar10', 'val': 5000, 'augmentation': AUGMENTATION},
    {'name': 'vgg_bn', 'options': {'depth': 16}}, 60, ('classifier',),
)

SETTINGS = {
    # For a look at the harness on toy data; its figures mean nothing.
    'smoke': Setting(
        'smoke', (cifar_resnet(8, 20, False, 1),), epochs=2, steps=1, batch_size=8, lr=0.02,
        seeds=1, cuts=(0.5,),
    ),
    'cpu': Setting(
        'cpu', (cifar_resnet(20, 5000, True), EUROSAT), epochs=6, steps=16, batch_size=64,
        lr=0.02, val_limit=500,
    ),
    # Ends by the clock, with as many rows as there were; written without a GPU at hand.
    'gpu': Setting(
        'gpu',
        (cifar_resnet(56, 5000, True), VGG, cifar_resnet(110, 5000, False, 40)),
        epochs=12, steps=None, batch_size=256, lr=0.05, device='cuda', amp=True, minutes=28.0,
    ),
    # The recipes by which the goal lines of the literature are judged; hours, resumable.
    'gpu_full': Setting(
        'gpu_full',
        (cifar_resnet(56, 5000, True), VGG, cifar_resnet(110, 5000, False, 160), EUROSAT),
        epochs=100, steps=None, batch_size=128, lr=0.02, device='cuda', amp=True,
    ),
}

THIRD = 'a third of the budget is sparse training'
MASKS = 'the budget is training with masks, from the trained network'
FEATURES = RecoverySection.model_fields['feature_weight'].default
SEARCH = {'particles': 8, 'cycles': 3, 'pictures': 256}
LONG = ('smoke', 'gpu', 'gpu_full')
CONTENDERS = (
    Contender('recommended', 'ours', 'group_magnitude', allocation='balanced', distil=True,
              prune={'round_to': 'auto'},
              note='the dense network teaches outputs and feature maps; widths as by default'),
    Contender('recommended, any width', 'ours', 'group_magnitude', allocation='balanced',
              distil=True, note='the same with any number of channels, as all below'),
    Contender('TP magnitude, distilled', 'Torch-Pruning', 'magnitude', distil=True,
              note='with our distillation of outputs: what that alone brings'),
    Contender('TP magnitude, distilled by layers', 'Torch-Pruning', 'magnitude', distil=True,
              finetune={'feature_weight': FEATURES},
              note='with all of our distillation: what our choice of channels brings'),
    Contender('group magnitude', 'ours', 'group_magnitude', allocation='balanced',
              note='the recommended choice of channels, not distilled'),
    Contender('TP magnitude', 'Torch-Pruning', 'magnitude'),
    Contender('TP group norm', 'Torch-Pruning', 'group_norm'),
    Contender('TP Taylor', 'Torch-Pruning', 'taylor'),
    Contender('TP BN scale', 'Torch-Pruning', 'bn_scale'),
    Contender('ACP budgeted', 'method', 'acp', SEARCH, parts={'search': 0.0},
              note='our budgeted mode: search without training on top'),
    Contender('ACP budgeted, distilled', 'method', 'acp', SEARCH, parts={'search': 0.0},
              distil=True, note='search without training on top'),
    Contender('DAAR', 'method', 'daar', {'probe_epochs': 1, 'rate': 'concentration'},
              prune={'min_channels': 4}, note='probe training on top'),
    Contender('L1RR', 'method', 'l1rr', {'strength': 0.01}, parts={'sparse': 1 / 6},
              prune={'max_cut': 0.75}, note='a sixth of the budget is sparse training'),
    Contender('AdaSP', 'method', 'adasp', {'start': 'dense', 'freeze': 0.83}, parts={'soft': 1.0},
              prune={'max_cut': 0.75}, note=f'{MASKS}; the paper trains from scratch'),
    Contender('AdaSP, from scratch', 'method', 'adasp', parts={'soft': 1.0},
              prune={'max_cut': 0.75},
              note='from scratch, as the paper has it', settings=('gpu_full',)),
    Contender('FPGM', 'baseline', 'fpgm', allocation='uniform'),
    Contender('L1 uniform', 'baseline', 'l1', allocation='uniform'),
    Contender('slimming', 'baseline', 'network_slimming', parts={'sparse': 1 / 3}, note=THIRD),
    Contender('random', 'baseline', 'random', allocation='uniform'),
    # Those that tell less: only where there is time
    Contender('TP group norm, sparse', 'Torch-Pruning', 'group_sl', parts={'sparse': 1 / 3},
              note=THIRD, settings=LONG),
    Contender('elimination', 'ours', 'elimination', allocation='inner',
              prune={'reconstruct': True}, note='least squares on unlabelled pictures on top',
              settings=LONG),
    Contender('elimination, distilled', 'ours', 'elimination', allocation='inner', distil=True,
              prune={'reconstruct': True}, note='elimination and distillation', settings=LONG),
    Contender('L1 global', 'baseline', 'l1', allocation='global', settings=LONG),
    Contender('L1 global, distilled', 'baseline', 'l1', allocation='global', distil=True,
              settings=LONG),
    Contender('L2 global', 'baseline', 'l2', allocation='global', settings=LONG),
    Contender('Taylor', 'baseline', 'taylor', allocation='global', settings=LONG),
    Contender('SFP', 'baseline', 'sfp', {'start': 'dense'}, parts={'soft': 1.0}, note=MASKS,
              settings=LONG),
    Contender('ASFP', 'baseline', 'asfp', {'start': 'dense'}, parts={'soft': 1.0}, note=MASKS,
              settings=LONG),
)


def smaller(setting: Setting, **changes: Any) -> Setting:
    """A setting with other values (for trying things out)."""
    return replace(setting, **changes)
