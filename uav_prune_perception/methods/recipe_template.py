# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A commented recipe from a few answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Task = Literal['detection', 'classification']

SECTION_WORDS = {
    'sparse': 'sparse training of the dense network, before the first cut',
    'soft': 'one training run with masks for each level; what they hold at the end is cut',
    'search': 'of each candidate; 0 epochs: judged as it is, 1 or more trains it first',
    'finetune': 'after each cut',
    'retrain': 'after each cut: a full training',
}
RARE = 'pictures of classes in less than half of all are shown more often'
# The methods' own defaults are those of papers, for hundreds of epochs
STRENGTH = 'strength: 0.01        # of the penalty; 0.001 where sparse training is 100 epochs long'
OWN = ':'  # in the name of a network of the user's, whose own loss may not be distilled
UNIT = ('ultralytics', 'yolov5')  # whose published weights want pixels in 0..1
NARROW = ('resnet_cifar',)  # its layers begin with 16 channels
OPTIONS = {'l1rr': STRENGTH, 'network_slimming': STRENGTH}
# What was best where it was measured: docs/detection.md, docs/methods.md
RECOMMENDED: dict[Task, str] = {'detection': 'elimination', 'classification': 'group_magnitude'}
REFITTED = ('elimination', 'l1rr')  # whose cuts of detectors were measured with the layers fitted


@dataclass(frozen=True)
class Answers:
    """What a recipe cannot know by itself.

    Attributes:
        name: of the recipe; also its file's.
        task: what the network does.
        data: folder of the pictures, or a YOLO data.yaml; '' for generated scenes.
        width: of the network's input, pixels.
        height: likewise.
        channels: 3, or 1 for thermal and grey pictures.
        network: a reference network, or ``module:factory``.
        weights: of a trained network; '' trains from scratch.
        method: who decides what is cut.
        levels: shares of the dense network's MACs, falling from 1.0.
    """

    name: str
    task: Task = 'detection'
    data: str = ''
    width: int = 320
    height: int = 256
    channels: int = 3
    network: str = 'aerial_detector'
    weights: str = ''
    method: str = RECOMMENDED['detection']
    levels: tuple[float, ...] = (1.0, 0.7, 0.45)


def render(answers: Answers, sections: Sequence[str] = ('finetune',)) -> str:
    """The recipe as commented YAML.

    Args:
        answers: the user's.
        sections: as `registry.needed_sections` says.
    """
    parts = [
        f'# uav-prune prune {answers.name}.yaml -o {answers.name}_ladder\n'
        '#\n# Every key that a recipe can have: docs/methods.md and config/recipes/.\n\n'
        f'name: {answers.name}\nseed: 0',
        _data(answers), _network(answers), _train(answers), _prune(answers),
        *(_section(name, answers) for name in sections),
        'export:\n  threads: 1              # that the engine may use on the drone; 0 = all\n'
        '  profile_runs: 100',
    ]
    return '\n\n'.join(parts) + '\n'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _data(answers: Answers) -> str:
    size = (
        f"  width: {answers.width}              # the network's input\n"
        f'  height: {answers.height}'
    )
    if not answers.data:
        return f'data:\n  kind: generated_scenes\n{size}\n  train: 800\n  val: 150\n  test: 150'
    unit = answers.network in UNIT
    kind = 'detection_folder' if answers.task == 'detection' else 'image_folder'
    return (
        f'data:\n  kind: {kind}\n  root: {_quoted(answers.data)}\n{size}\n'
        f'  channels: {answers.channels}             # 1 for thermal and grey pictures'
        + ('\n  mean: 0                 # pixels in 0..1\n  std: 1' if unit else '')
        + (f'\n  repeat_threshold: 0.5   # {RARE}' if answers.task == 'detection' else '')
    )


def _network(answers: Answers) -> str:
    weights = _quoted(answers.weights) if answers.weights else 'null'
    if answers.weights:
        note = '   # the top of the ladder as it is: train.epochs is 0'
    else:
        note = '   # or trained weights; then train.epochs may be 0'
    name, options = _quoted(answers.network), '{}'
    if answers.network == 'ultralytics':
        options = f'{{model: {_quoted(answers.weights or "yolov8n.yaml")}}}{note}'
        weights, note = 'null', ''
    return f'network:\n  name: {name}\n  options: {options}\n  weights: {weights}{note}'


def _train(answers: Answers) -> str:
    epochs = 0 if answers.weights else 30
    return f'train:\n{_training(answers, epochs, 1.0)}'


def _section(name: str, answers: Answers) -> str:
    epochs, part = {
        'sparse': (10, 0.5), 'soft': (30, 1.0), 'search': (0, 0.5), 'finetune': (6, 0.5),
        'retrain': (30, 1.0),
    }[name]
    text = f'{name}:                 # {SECTION_WORDS[name]}\n{_training(answers, epochs, part)}'
    if name != 'finetune':
        return text
    if answers.task == 'classification' or OWN not in answers.network:
        return f'{text}\n  distil: true            # the dense network teaches'
    return (
        f'{text}\n  distil: false           # true: the dense network teaches; worth it, and a '
        'loss of\n                          # your own needs decoded() for it: '
        'docs/own_model.md'
    )


def _training(answers: Answers, epochs: int, part: float) -> str:
    """Settings that our own recipes of the task use; ``part`` scales the learning rate."""
    if answers.task == 'detection':
        return f'  epochs: {epochs}\n  batch_size: 8\n  lr: {0.002 * part:g}'
    return (
        f'  epochs: {epochs}\n  batch_size: 64\n  optimizer: sgd\n  lr: {0.05 * part:g}\n'
        '  weight_decay: 0.0005'
    )


def _prune(answers: Answers) -> str:
    levels = '\n'.join(f'    - {{kept_macs: {level:g}}}' for level in answers.levels)
    own = OPTIONS.get(answers.method)
    widths = (
        '  round_to: auto          # blocks that engines like, 8 channels; 16 on AVX-512\n'
        f'  min_channels: {4 if answers.network in NARROW else 8}\n'
    )
    options = f'  options:\n    {own}\n' if own else ''
    if answers.method == RECOMMENDED[answers.task]:
        options += f'  allocation: {_allocation(answers)}\n'
    if answers.task == 'detection' and answers.method in REFITTED:
        widths += '  reconstruct: true       # layers are then fitted, in turn, to what is left\n'
    return (
        f'prune:\n  method: {answers.method}\n{options}'
        '  from: previous          # each level from the one above it; or dense\n'
        f'{widths}'
        '  keep: []                # layers that nothing may be cut from\n'
        f'  levels:                 # or kept_params, or latency (measured here)\n{levels}'
    )


def _allocation(answers: Answers) -> str:
    """How the recommended method spreads a level over the layers, as it was measured."""
    if answers.task == 'classification':
        return 'balanced    # half-way between one threshold for all and equal shares'
    if answers.network in ('aerial_detector', 'ultralytics'):
        return 'global      # one threshold for all layers'
    return 'inner       # residual streams stay whole where that suffices'
