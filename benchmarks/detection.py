# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pruning methods on a detector of real thermal pictures from a drone: one command, resumable.

    python benchmarks/detection.py --setting cpu --data ../shared/data --workers 2

One JSON line for each finished run; started again, it goes on with what is missing. The dense
network is trained once and shared. Runs go by worth: of each seed first the contenders named
first, at every goal, then the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from detection_runs import DetectionBench
from detection_settings import CONTENDERS, SETTINGS, DetectionSetting, Goal
from detection_tables import plot, tables
from methods_rivals import available
from methods_settings import Contender
from resumable import append, claimed, commit, read_rows, spread

from uav_prune_perception.onboard.telemetry.machine import device_name

RESULTS = Path(__file__).parent / 'results'
FIRST = 6  # contenders of the first round


@dataclasses.dataclass(frozen=True)
class Run:
    """One cell; ``contender`` and ``goal`` None is the dense network."""

    contender: Contender | None
    goal: Goal | None
    seed: int

    @property
    def key(self) -> str:
        """Of its line."""
        name = self.contender.name if self.contender else 'dense'
        return f'{name} | {self.goal or ""} | {self.seed}'


def main() -> int:
    options = _arguments()
    setting = _setting(options)
    lines = options.out / f'detection_{setting.name}.jsonl'
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        if options.workers > 1:
            spread(options.workers)
        else:
            _work(setting, _contenders(options.only), lines, options)
    rows = read_rows(lines)
    text = tables(rows, setting.name)
    lines.with_suffix('.md').write_text(text, encoding='utf-8')
    plot(rows, lines.with_suffix('.png'))
    print(text, end='')
    return 0


def _work(
    setting: DetectionSetting, contenders: list[Contender], lines: Path,
    options: argparse.Namespace,
) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    bench = DetectionBench(setting, setting.problems[0], options.data, options.work)
    until = time.monotonic() + 60 * setting.minutes if setting.minutes else float('inf')
    for run in _runs(setting, contenders):
        if time.monotonic() > until:
            print(f'{setting.minutes:g} minutes are over', flush=True)
            return
        with claimed(run.key, options.work) as mine:
            rows = read_rows(lines)
            done = {row['key'] for row in rows if not options.retry or 'error' not in row}
            if mine and run.key not in done:
                append(lines, _row(setting, run, bench))


def _row(setting: DetectionSetting, run: Run, bench: DetectionBench) -> dict[str, Any]:
    began = time.monotonic()
    row: dict[str, Any] = {
        'key': run.key, 'setting': setting.name, 'machine': _machine(setting),
        'problem': setting.problems[0].name, 'goal': str(run.goal or ''), 'seed': run.seed,
        'name': run.contender.name if run.contender else 'dense',
        'origin': run.contender.origin if run.contender else 'dense',
        'note': run.contender.note if run.contender else '',
        'budget': setting.epochs * (setting.steps or 0), 'epochs': setting.epochs,
        'batch_size': setting.batch_size, 'torch': torch.__version__, 'commit': commit(),
    }
    try:
        if run.contender is None:
            row.update(bench.dense())
        else:
            row.update(bench.run(run.contender, run.goal, run.seed))
        said = f'{row["mAP50"]:.2%}, worst {row["worst_class"]} {row["worst"]:.2%}'
    except (ValueError, RuntimeError) as error:
        row['error'] = said = ' '.join(str(error).split())[:300] or type(error).__name__
    print(f'{run.key}: {said} ({time.monotonic() - began:.0f} s)', flush=True)
    return row


def _runs(setting: DetectionSetting, contenders: list[Contender]) -> Iterator[Run]:
    yield Run(None, None, 0)
    seeds = range(setting.first_seed, setting.first_seed + setting.seeds)
    rounds = (contenders[:FIRST], contenders[FIRST:])
    for seed, group, goal in itertools.product(seeds, rounds, setting.goals):
        for contender in group:
            yield Run(contender, goal, seed)


def _contenders(only: list[str]) -> list[Contender]:
    """Those that can run here; the others are named with the reason."""
    found = []
    for contender in CONTENDERS:
        if only and not any(word.lower() in contender.name.lower() for word in only):
            continue
        if contender.origin == 'Torch-Pruning' and not available():
            print(f'skipped: {contender.name}: Torch-Pruning is not installed', file=sys.stderr)
            continue
        found.append(contender)
    return found


def _setting(options: argparse.Namespace) -> DetectionSetting:
    changes: dict[str, Any] = {
        name: getattr(options, name)
        for name in ('device', 'epochs', 'steps', 'seeds', 'first_seed', 'minutes')
        if getattr(options, name) is not None
    }
    setting = dataclasses.replace(SETTINGS[options.setting], **changes)
    if setting.device != 'cpu' and not torch.cuda.is_available():
        sys.exit(f'--setting {setting.name} needs a GPU; --device cpu tries it out without one')
    return setting


def _machine(setting: DetectionSetting) -> str:
    if setting.device != 'cpu':
        return str(torch.cuda.get_device_name())
    return f'{device_name()} {platform.machine()}'


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('--setting', choices=sorted(SETTINGS), default='cpu')
    add('--data', type=Path, default=Path('../shared/data'), help='folder of the data')
    add('--out', type=Path, default=RESULTS, help='folder of lines, table and plot')
    add('--work', type=Path, default=Path('.benchmark'), help='folder of the dense network')
    add('--workers', type=int, default=1, help='processes that share the runs')
    add('--only', nargs='*', default=[], metavar='WORD', help='methods with a word in the name')
    add('--seeds', type=int, help='how many')
    add('--first-seed', type=int)
    add('--epochs', type=int, help='of fine-tuning, in all')
    add('--steps', type=int, help='optimiser steps of an epoch')
    add('--minutes', type=float, help='begin no run after this')
    add('--device')
    add('--retry', action='store_true', help='run again what failed')
    add('--tables', action='store_true', help='only write table and plot anew')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
