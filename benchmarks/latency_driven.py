# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same MACs, spread by measured latency or by MACs: accuracy and latency of what comes out.

    python benchmarks/latency_driven.py --data ../shared/data --work WORK/ [--depth 56]
                                        [--kept 0.7 0.5] [--epochs 0] [--seeds 0] [--json OUT.json]

A CIFAR ResNet with published weights, cut in one step by every ``prune.allocation`` with the same
scores (first-order Taylor), the kept channels taking over from the lost ones
(`prune.reconstruct`), then the same fine-tuning, if any. Latency is that of ONNX Runtime on one
thread, CPU time over the dense network's, all networks taking turns. Finished networks lie in
WORK/ and are found again.
"""

from __future__ import annotations

import argparse
import json
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

ALLOCATIONS = ('global', 'uniform', 'macs', 'latency')
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
    parser.add_argument('--depth', type=int, default=20)
    parser.add_argument('--kept', type=float, nargs='+', default=[0.7, 0.5])
    parser.add_argument('--epochs', type=int, default=0)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--allocations', nargs='+', default=list(ALLOCATIONS))
    parser.add_argument('--round-to', type=int, default=4)
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
    kept = '-'.join(f'{share:.0%}' for share in options.kept) if allocation != DENSE else ''
    name = f'r{options.depth}_{allocation}_{seed}_{options.epochs}_{options.round_to}{kept}'
    name = name.replace('%', '')
    folder = options.work / name
    if folder.exists():
        return open_ladder(folder)
    print(name, flush=True)
    reporter: Reporter = Lines()  # type: ignore[assignment]
    recipe = check_recipe(RecipeSource(name, recipe_of(allocation, seed, options)))
    return prune(recipe, folder, reporter)


def recipe_of(allocation: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The values of a recipe."""
    levels: list[dict[str, Any]] = [{'kept_macs': 1.0, 'name': DENSE}]
    if allocation != DENSE:
        levels = [
            {'kept_macs': share, 'name': f'{share:.0%}'.rstrip('%')} for share in options.kept
        ]
    return {
        'name': f'{allocation}_driven', 'seed': seed,
        'data': {'kind': 'cifar10', 'root': str(options.data / 'cifar10'), 'val': 1000,
                 'augmentation': {'kind': 'crop_flip'}},
        'network': {
            'name': 'resnet_cifar', 'options': {'depth': options.depth},
            'weights': str(options.data / f'weights/cifar10_resnet{options.depth}.safetensors'),
        },
        'train': {'epochs': 0},
        'prune': {
            'method': 'taylor', 'options': {'batches': 8, 'batch_size': 64},
            'allocation': None if allocation == DENSE else allocation, 'reconstruct': True,
            'from': 'dense', 'round_to': options.round_to, 'min_channels': options.round_to,
            'levels': levels,
        },
        'finetune': {
            'epochs': options.epochs, 'batch_size': 64, 'optimizer': 'sgd', 'lr': 0.01,
            'weight_decay': 5e-4, 'warmup_epochs': 0, 'ema': False, 'distil': True,
        },
        'export': {'profile_runs': 5, 'threads': 1},
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
    picture = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
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
