# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same latency, or the same MACs, reached by measured times or by MACs: what accuracy is left.

    python benchmarks/latency_driven.py --data ../shared/data --work WORK/ [--problem eurosat]
                                        [--budget latency] [--kept 0.5] [--epochs 1]
                                        [--seeds 0 1 2] [--allocations macs latency]
                                        [--json OUT.json]

Problems: ``cifar``, a CIFAR ResNet with published weights; ``eurosat``, a network of MobileNet's
kind (`inverted_residuals`) that is trained here first. Each is cut in one step by every
``prune.allocation`` with the same scores (first-order Taylor), the kept channels taking over from
the lost ones (`prune.reconstruct`), then the same fine-tuning, if any. ``--budget latency`` cuts
all to the same measured latency, ``--budget kept_macs`` to the same MACs. Latency is that of ONNX
Runtime on one thread, CPU time over the dense network's, all networks taking turns. Finished
networks lie in WORK/ and are found again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from uav_prune_perception.ladder import Ladder, open_ladder
from uav_prune_perception.methods.interfaces import Reporter
from uav_prune_perception.methods.job import prune
from uav_prune_perception.methods.recipe import check_recipe
from uav_prune_perception.methods.recipe_source import RecipeSource
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine

ALLOCATIONS = ('macs', 'latency')
DENSE = 'dense'
BURST = 4


class Lines:
    """A reporter that prints what a reader may want to know."""

    def phase(self, title: str, steps: int) -> None:
        """Nothing: phases are many."""

    def step(self, done: int, text: str = '') -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """A line."""
        print(f'    {text}', flush=True)

    warn = note


def main() -> None:
    """Make what is missing, measure all, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--problem', choices=('cifar', 'eurosat'), default='eurosat')
    parser.add_argument('--depth', type=int, default=20, help='of the CIFAR ResNet')
    parser.add_argument('--dense-epochs', type=int, default=6, help='of the EuroSAT network')
    parser.add_argument('--side', type=int, default=32, help='of the EuroSAT pictures')
    parser.add_argument('--budget', choices=('latency', 'kept_macs'), default='latency')
    parser.add_argument('--kept', type=float, nargs='+', default=[0.5])
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--allocations', nargs='+', default=list(ALLOCATIONS))
    parser.add_argument('--round-to', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    ladders = {(DENSE, 0): made(DENSE, 0, options)}
    for seed in options.seeds:
        for allocation in options.allocations:
            ladders[allocation, seed] = made(allocation, seed, options)
    rows = measured(ladders, options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def made(allocation: str, seed: int, options: argparse.Namespace) -> Ladder:
    """The ladder of one allocation, from an earlier run where there is one."""
    folder = folder_of(allocation, seed, options)
    if folder.exists():
        return open_ladder(folder)
    print(folder.name, flush=True)
    reporter: Reporter = Lines()  # type: ignore[assignment]
    recipe = check_recipe(RecipeSource(folder.name, recipe_of(allocation, seed, options)))
    return prune(recipe, folder, reporter)


def folder_of(allocation: str, seed: int, options: argparse.Namespace) -> Path:
    """Where a ladder lies."""
    kept = '-'.join(f'{100 * share:g}' for share in options.kept)
    problem = f'r{options.depth}' if options.problem == 'cifar' else f'eurosat{options.side}'
    if allocation == DENSE:
        return Path(options.work / f'{problem}_{DENSE}')
    how = f'{options.epochs}_{options.round_to}_{options.budget}_{kept}'
    return Path(options.work / f'{problem}_{allocation}_{seed}_{how}')


def recipe_of(allocation: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The values of a recipe."""
    levels: list[dict[str, Any]] = [{'kept_macs': 1.0, 'name': DENSE}]
    if allocation != DENSE:
        levels = [
            {options.budget: share, 'name': f'{100 * share:g}'} for share in options.kept
        ]
    return {
        'name': f'{allocation}_driven', 'seed': seed, **problem_of(allocation, options),
        'prune': {
            'method': 'taylor', 'options': {'batches': 8, 'batch_size': 64},
            'allocation': None if allocation == DENSE else allocation, 'reconstruct': True,
            'from': 'dense', 'round_to': options.round_to, 'min_channels': options.round_to,
            'levels': levels,
        },
        'export': {'profile_runs': 60, 'threads': 1},
    }


def problem_of(allocation: str, options: argparse.Namespace) -> dict[str, Any]:
    """Data, network, training and fine-tuning."""
    if options.problem == 'cifar':
        weights = f'weights/cifar10_resnet{options.depth}.safetensors'
        return {
            'data': {'kind': 'cifar10', 'root': str(options.data / 'cifar10'), 'val': 1000,
                     'augmentation': {'kind': 'crop_flip'}},
            'network': {'name': 'resnet_cifar', 'options': {'depth': options.depth},
                        'weights': str(options.data / weights)},
            'train': {'epochs': 0},
            'finetune': {
                'epochs': options.epochs, 'batch_size': 64, 'optimizer': 'sgd', 'lr': 0.01,
                'weight_decay': 5e-4, 'warmup_epochs': 0, 'ema': False, 'distil': True,
            },
        }
    sys.path.insert(0, str(Path(__file__).parent))
    weights = folder_of(DENSE, 0, options) / f'levels/{DENSE}/weights.safetensors'
    return {
        'data': {'kind': 'eurosat', 'root': str(options.data / 'eurosat_rgb'),
                 'side': options.side,
                 'mean': 0.5, 'std': 0.5,
                 'augmentation': {'kind': 'crop_flip', 'pad': 2, 'quarter_turns': True}},
        'network': {'name': 'inverted_residuals:InvertedResiduals'} | (
            {} if allocation == DENSE else {'weights': str(weights)}
        ),
        'train': {'epochs': options.dense_epochs if allocation == DENSE else 0, 'batch_size': 64,
                  'lr': 3e-3, 'warmup_epochs': 0.3},
        'finetune': {'epochs': options.epochs, 'batch_size': 64, 'lr': 1e-3, 'warmup_epochs': 0.1},
    }


def measured(
    ladders: dict[tuple[str, int], Ladder], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """CPU time of every level over the dense one's, all taking turns; printed as a table."""
    engines: dict[tuple[str, int, str], OnnxRuntimeEngine] = {}
    levels: dict[tuple[str, int, str], Any] = {}
    for (allocation, seed), ladder in ladders.items():
        for level in ladder.levels:
            key = (allocation, seed, level.name)
            engines[key] = OnnxRuntimeEngine(ladder.file(level), threads=1)
            engines[key].load()
            levels[key] = level
    side = 32 if options.problem == 'cifar' else options.side
    picture = np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32)
    times = {key: np.empty(options.rounds) for key in engines}
    for turn in range(-1, options.rounds):
        for key, engine in engines.items():
            engine.infer(picture)
            start = time.process_time()
            for _ in range(BURST):
                engine.infer(picture)
            if turn >= 0:
                times[key][turn] = 1e3 * (time.process_time() - start) / BURST
    rows = []
    print(f'{"allocation":>10s} {"seed":>4s} {"level":>6s} {"MACs":>6s} {"/dense":>7s} '
          f'{"top-1":>7s}')
    for key, took in times.items():
        level, dense = levels[key], times[DENSE, 0, DENSE]
        row = {
            'allocation': key[0], 'seed': key[1], 'level': key[2], 'kept_macs': level.kept_macs,
            'to_dense': float(np.median(took / dense)), 'top1': level.accuracy.value,
        }
        rows.append(row)
        print(f'{key[0]:>10s} {key[1]:4d} {key[2]:>6s} {row["kept_macs"]:6.3f} '
              f'{row["to_dense"]:7.3f} {row["top1"]:7.4f}', flush=True)
    return rows


if __name__ == '__main__':
    main()
