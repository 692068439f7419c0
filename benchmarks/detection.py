# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pruning methods on a detector of real thermal pictures from a drone: one command, resumable.

    python benchmarks/detection.py --setting cpu --data ../shared/data --workers 2

One JSON line for each finished run; started again, it goes on with what is missing. The dense
network is trained once and shared. Runs go by worth: first the leading contenders, at the first
goal with every seed, then at the other goals; then the other contenders.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator
from typing import Any

from detection_runs import DetectionBench
from detection_settings import LEADING, OTHERS, SETTINGS, UNCUT, DetectionSetting, Goal
from detection_tables import plot, tables
from methods_settings import Contender, about, runnable
from resumable import arguments, conduct, finish_runs, given, machine, measured_row


@dataclasses.dataclass(frozen=True)
class Run:
    """One cell; without a goal nothing is cut, without a contender nothing is learnt either."""

    contender: Contender | None
    goal: Goal | None
    seed: int

    @property
    def key(self) -> str:
        """Of its line."""
        name = self.contender.name if self.contender else 'dense'
        return f'{name} | {self.goal or ""} | {self.seed}'


def main() -> int:
    parser = arguments(__doc__, SETTINGS)
    parser.add_argument('--goals', type=int, help='only the first so many of the goals')
    options = parser.parse_args()
    setting = dataclasses.replace(SETTINGS[options.setting], **given(options))
    setting = dataclasses.replace(setting, goals=setting.goals[:options.goals])
    machine(setting.device)
    lines = options.out / f'detection_{setting.name}.jsonl'

    def work() -> None:
        bench = DetectionBench(setting, setting.problems[0], options.data, options.work)
        rounds = [runnable(some, options.only, setting) for some in (LEADING, OTHERS)]
        finish_runs(
            _runs(setting, rounds), lambda run: _row(setting, run, bench),
            lines, options, setting.minutes,
        )

    conduct(options, lines, work, lambda rows: tables(rows, setting.name), plot)
    return 0


def _row(setting: DetectionSetting, run: Run, bench: DetectionBench) -> dict[str, Any]:
    row = {
        **about(setting, run.contender, run.key, run.seed),
        'problem': setting.problems[0].name, 'goal': str(run.goal or ''),
    }
    measure = bench.dense if run.contender is None else functools.partial(
        bench.run, run.contender, run.goal, run.seed
    )
    return measured_row(row, measure, lambda row: (
        f'{row["mAP50"]:.2%}, worst {row["worst_class"]} {row["worst"]:.2%}'
    ))


def _runs(setting: DetectionSetting, rounds: list[list[Contender]]) -> Iterator[Run]:
    yield Run(None, None, 0)
    if setting.steps is None:  # so long that the dense network would learn something too
        yield Run(UNCUT, None, setting.first_seed)
    seeds = range(setting.first_seed, setting.first_seed + setting.seeds)
    for group, goal, seed in itertools.product(rounds, setting.goals, seeds):
        for contender in group:
            yield Run(contender, goal, seed)


if __name__ == '__main__':
    sys.exit(main())
