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
from resumable import append, arguments, claimed, commit, machine, read_rows, spread

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
    options = arguments(__doc__, SETTINGS).parse_args()
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
        'key': run.key, 'setting': setting.name, 'machine': machine(setting.device),
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
    machine(setting.device)
    return setting


if __name__ == '__main__':
    sys.exit(main())
