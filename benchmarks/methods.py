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
import functools
import itertools
import sys
from collections.abc import Iterator
from typing import Any

from methods_runs import Bench
from methods_settings import CONTENDERS, SETTINGS, Contender, Problem, Setting, about, runnable
from methods_tables import plot, tables
from resumable import arguments, conduct, finish_runs, given, machine, measured_row


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

    def work() -> None:
        @functools.cache
        def bench(problem: str) -> Bench:
            """Made when the first run of its problem is missing."""
            (found,) = (one for one in setting.problems if one.name == problem)
            return Bench(setting, found, options.data, options.work)

        contenders = runnable(CONTENDERS, options.only, setting)
        finish_runs(
            _runs(setting, contenders),
            lambda run: _row(setting, run, bench(run.problem.name)),
            lines, options, setting.minutes,
        )

    conduct(options, lines, work, lambda rows: tables(rows, setting.name), plot)
    return 0


def _row(setting: Setting, run: Run, bench: Bench) -> dict[str, Any]:
    row = {
        **about(setting, run.contender, run.key, run.seed),
        'problem': run.problem.name, 'cut': run.cut,
    }
    if run.contender is None:
        measure = bench.dense
    else:
        row['recipe'] = run.contender.recipe
        measure = functools.partial(bench.run, run.contender, run.cut, run.seed)
    return measured_row(row, measure, lambda row: f'{row["top1"]:.2%}')


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


def _setting(options: argparse.Namespace) -> Setting:
    changes = given(options, 'batch_size', 'cuts')
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
