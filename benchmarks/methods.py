# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every pruning method on the same networks, data, cuts and fine-tuning: one command, resumable.

    python benchmarks/methods.py --setting cpu --data ../shared/data
    python benchmarks/methods.py --setting gpu --data ../shared/data --workers 6

One JSON line for each finished run; started again, it goes on with what is missing. Runs go cut
by cut (70 % first), seed by seed, and round all methods, so that a part of them is a fair table
already.
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
from methods_rivals import available
from methods_runs import Bench
from methods_settings import CONTENDERS, SETTINGS, Contender, Problem, Setting
from methods_tables import plot, tables
from resumable import append, arguments, claimed, commit, machine, read_rows, spread

from uav_prune_perception.methods.registry import ALLOCATORS, method_factories


@dataclasses.dataclass(frozen=True)
class Run:
    """One cell of the benchmark; ``contender`` None is the dense network."""

    problem: Problem
    contender: Contender | None
    cut: float
    seed: int

    @property
    def key(self) -> str:
        """Of its line."""
        name = self.contender.name if self.contender else 'dense'
        return f'{self.problem.name} | {name} | {self.cut:.2f} | {self.seed}'


def main() -> int:
    options = _arguments()
    setting = _setting(options)
    lines = options.out / f'methods_{setting.name}.jsonl'
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        if options.workers > 1:
            spread(options.workers)
        else:
            _work(setting, _contenders(options.only, setting), lines, options)
    rows = read_rows(lines)
    text = tables(rows, setting.name)
    lines.with_suffix('.md').write_text(text, encoding='utf-8')
    plot(rows, lines.with_suffix('.png'))
    print(text, end='')
    return 0


def _work(
    setting: Setting, contenders: list[Contender], lines: Path, options: argparse.Namespace
) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    benches: dict[str, Bench] = {}
    until = time.monotonic() + 60 * setting.minutes if setting.minutes else float('inf')
    for run in _runs(setting, contenders):
        if time.monotonic() > until:
            print(f'{setting.minutes:g} minutes are over', flush=True)
            return
        with claimed(run.key, options.work) as mine:
            rows = read_rows(lines)
            done = {row['key'] for row in rows if not options.retry or 'error' not in row}
            if not mine or run.key in done:
                continue
            name = run.problem.name
            if name not in benches:
                benches[name] = Bench(setting, run.problem, options.data, options.work)
            append(lines, _row(setting, run, benches[name]))


def _row(setting: Setting, run: Run, bench: Bench) -> dict[str, Any]:
    began = time.monotonic()
    row: dict[str, Any] = {
        'key': run.key, 'setting': setting.name, 'machine': machine(setting.device),
        'problem': run.problem.name, 'cut': run.cut, 'seed': run.seed,
        'name': run.contender.name if run.contender else 'dense',
        'origin': run.contender.origin if run.contender else 'dense',
        'note': run.contender.note if run.contender else '',
        'budget': setting.epochs * (setting.steps or 0), 'epochs': setting.epochs,
        'batch_size': setting.batch_size, 'torch': torch.__version__, 'commit': commit(),
    }
    if run.contender is not None:
        row['recipe'] = run.contender.recipe
    try:
        if run.contender is None:
            row.update(bench.dense())
        else:
            row.update(bench.run(run.contender, run.cut, run.seed))
        said = f'{row["top1"]:.2%}'
    except (ValueError, RuntimeError) as error:
        row['error'] = said = ' '.join(str(error).split())[:300] or type(error).__name__
    print(f'{run.key}: {said} ({time.monotonic() - began:.0f} s)', flush=True)
    return row


def _runs(setting: Setting, contenders: list[Contender]) -> Iterator[Run]:
    """Cut by cut, problem by problem, seed by seed; all contenders within."""
    for problem in setting.problems:
        yield Run(problem, None, 0.0, 0)
    for cut, problem, seed in itertools.product(
        sorted(setting.cuts, key=lambda cut: abs(cut - 0.7)), setting.problems,
        range(setting.first_seed, setting.first_seed + setting.seeds),
    ):
        for contender in contenders:
            yield Run(problem, contender, cut, seed)


def _contenders(only: list[str], setting: Setting) -> list[Contender]:
    """Those that can run here; the others are named with the reason."""
    found = []
    factories = method_factories()
    for contender in CONTENDERS:
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


def _setting(options: argparse.Namespace) -> Setting:
    changes: dict[str, Any] = {
        name: getattr(options, name)
        for name in ('device', 'epochs', 'steps', 'batch_size', 'seeds', 'first_seed', 'cuts',
                     'minutes')
        if getattr(options, name) is not None
    }
    setting = dataclasses.replace(SETTINGS[options.setting], **changes)
    if options.problems:
        chosen = tuple(p for p in setting.problems if any(w in p.name for w in options.problems))
        setting = dataclasses.replace(setting, problems=chosen)
    if options.val is not None:
        setting = dataclasses.replace(setting, problems=tuple(
            dataclasses.replace(p, data={**p.data, 'val': options.val}) if 'val' in p.data else p
            for p in setting.problems
        ))
    if options.dense_epochs is not None:
        setting = dataclasses.replace(setting, problems=tuple(
            dataclasses.replace(p, dense_epochs=options.dense_epochs) for p in setting.problems
        ))
    machine(setting.device)
    return setting


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__, SETTINGS)
    add = parser.add_argument
    add('--problems', nargs='*', default=[], metavar='WORD')
    add('--cuts', nargs='*', type=float)
    add('--dense-epochs', type=int, help='where no trained network is published')
    add('--batch-size', type=int)
    add('--val', type=int, help='pictures held out, where the data has no such split')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
