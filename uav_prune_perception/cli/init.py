# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune init``: a commented recipe from five questions, or from flags."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path

from uav_prune_perception.datasets.annotation_formats import recognise
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.methods.recipe import NAME, RecipeError, load_recipe
from uav_prune_perception.methods.recipe_template import RECOMMENDED, Answers, Task, render

NETWORKS: dict[Task, str] = {'detection': 'aerial_detector', 'classification': 'resnet_cifar'}
SIZES: dict[Task, str] = {'detection': '320x256', 'classification': '64x64'}
GENERATED = 'generated'


def run_init(options: argparse.Namespace) -> int:
    """Ask what the flags leave open (in a terminal), write the recipe, check it."""
    path: Path = options.recipe.expanduser()
    if path.exists() and not options.overwrite:
        raise RecipeError(f'{path}: exists already; choose another name or add --overwrite')
    if path.suffix not in ('.yaml', '.yml') or not re.match(NAME, path.stem):
        raise RecipeError(f'{path}: a recipe is named like my_detector.yaml')
    answers = collect(options, ask if sys.stdin.isatty() else _default)
    # After the questions: torch takes seconds to import.
    from uav_prune_perception.methods.registry import make_method, needed_sections, plain_method

    sections = needed_sections(plain_method(answers.method))
    with replacing(path) as temporary:
        temporary.write_text(render(answers, sections), encoding='utf-8')
    make_method(load_recipe(path))
    print(f'written: {path}')
    if answers.data and answers.task == 'detection':
        print(f'look at the data first:  uav-prune data check {answers.data}')
    print(f'then:                    uav-prune prune {path} -o {path.stem}_ladder')
    return 0


def collect(options: argparse.Namespace, question: Callable[[str, str], str]) -> Answers:
    """The answers, from flags or from ``question(text, default)``.

    Raises:
        RecipeError: an answer that makes no sense; names the flag.
    """
    data = options.data or question(
        'Pictures: their folder, a YOLO data.yaml, or "generated"', GENERATED
    )
    task = options.task or guess_task(data)
    network = options.network or question(
        'Network: a reference one, ultralytics, or your own as module:factory', NETWORKS[task]
    )
    usual = '640x640' if network == 'ultralytics' else SIZES[task]
    size = options.size or question('Input of the network, WIDTHxHEIGHT', usual)
    weights = options.weights or question('Trained weights (empty: train from scratch)', '')
    method = options.method or question('Method', RECOMMENDED[task])
    levels = options.levels or question('Levels, % of the MACs that stay', '100,70,45')
    width, height = _size(size)
    return Answers(
        name=options.recipe.stem, task=task, data='' if data == GENERATED else data, width=width,
        height=height, channels=1 if options.grey else 3, network=network, weights=str(weights),
        method=method, levels=_levels(levels),
    )


def guess_task(data: str) -> Task:
    """Detection where the folder is of a known detection format, classification where it is not.

    Raises:
        RecipeError: there is no such folder.
    """
    path = Path(data).expanduser()
    if data == GENERATED:
        return 'detection'
    if not path.exists():
        raise RecipeError(f'--data: {path}: no such folder')
    try:
        recognise(path)
    except DatasetError:
        return 'classification'
    return 'detection'


def ask(text: str, default: str) -> str:
    """One question in the terminal."""
    shown = f' [{default}]' if default else ''
    return input(f'{text}{shown}: ').strip() or default


def _default(text: str, default: str) -> str:
    return default


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if not match or 0 in (int(match[1]), int(match[2])):
        raise RecipeError(f'--size: "{text}" is not WIDTHxHEIGHT, such as 640x512')
    return int(match[1]), int(match[2])


def _levels(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(word) / 100 for word in text.split(','))
    except ValueError:
        shares = ()
    falling = all(upper > lower for upper, lower in itertools.pairwise(shares))
    if not shares or not falling or not all(0 < share <= 1 for share in shares):
        raise RecipeError(f'--levels: "{text}" is not a list of falling percentages: 100,70,45')
    return shares
