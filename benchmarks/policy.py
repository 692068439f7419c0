# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Flies every policy through every scenario and says how good each is, with statistics.

python benchmarks/policy.py                        # made-up Jetson-like trace, 10 seeds
python benchmarks/policy.py --trace FILE.npz       # a recorded trace (latency_trace.py)
python benchmarks/policy.py --ladder DIR           # record that ladder here first
python benchmarks/policy.py --markdown out.md --csv out.csv
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from policy_cost import costs
from policy_pilots import pilots
from policy_tables import tables

from uav_prune_perception.onboard.simulation import (
    SCENARIOS,
    LatencyTrace,
    Metrics,
    fly,
    made_up_trace,
    make_world,
    measure,
    read_trace,
)

HERE = Path(__file__).parent
TEST_SEED = 1000  # seeds from here on, and the second half of a recording, are for judging only
HEAVIEST_MS = 22.0  # scenarios have a deadline of 30 ms at 30 Hz

Flights = dict[tuple[str, str], list[Metrics]]  # (scenario, pilot) -> one for each seed


def main() -> None:
    """Parse, fly, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--trace', type=Path)
    parser.add_argument('--ladder', type=Path)
    parser.add_argument('--jitter', type=float, default=0.03, help='of the made-up trace')
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--split', choices=('tuning', 'test'), default='test',
                        help='test: seeds and frames that nothing was tuned on')
    parser.add_argument('--duration', type=float, default=300.0, help='seconds of each flight')
    parser.add_argument('--staleness', type=float, default=0.3)
    parser.add_argument('--scenarios', help='comma-separated')
    parser.add_argument('--processes', type=int, default=multiprocessing.cpu_count())
    parser.add_argument('--markdown', type=Path)
    parser.add_argument('--csv', type=Path)
    parser.add_argument('--no-costs', action='store_true')
    parser.add_argument('--budget', type=float, default=math.inf,
                        help='after so many seconds report the seeds that are complete')
    arguments = parser.parse_args()
    trace = _trace(arguments)
    names = _scenarios(arguments.scenarios, trace)
    flights = _fly(names, arguments)
    seeds = min(len(metrics) for metrics in flights.values())
    flights = {key: metrics[:seeds] for key, metrics in flights.items()}
    origin = trace.origin if trace else (
        f'made up, Jetson-like: jitter {arguments.jitter:.0%}, a new one for each seed, '
        f'{arguments.split} seeds')
    text = tables(flights, origin, seeds, arguments.duration)
    if not arguments.no_costs:
        text += '\n' + _cost_table(trace or made_up_trace(jitter=arguments.jitter))
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if arguments.csv:
        _write_csv(arguments.csv, flights)


def _fly(names: list[str], arguments: argparse.Namespace) -> Flights:
    """Seed after seed, so that at any moment some are complete; at least one."""
    first = TEST_SEED if arguments.split == 'test' else 0
    seeds = range(first, first + arguments.seeds)
    jobs = [(name, seed, arguments) for seed in seeds for name in names]
    flights: Flights = {}
    start = time.monotonic()
    with multiprocessing.Pool(arguments.processes) as pool:
        for (name, seed, _), found in zip(jobs, pool.imap(_fly_all, jobs), strict=True):
            for pilot, metrics in found.items():
                flights.setdefault((name, pilot), []).append(metrics)
            print('.', end='', file=sys.stderr, flush=True)
            late = time.monotonic() - start > arguments.budget
            if late and (seed > first or name == names[-1]):
                break
    print(file=sys.stderr)
    return flights


def _trace(arguments: argparse.Namespace) -> LatencyTrace | None:
    if arguments.ladder:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'trace.npz'
            subprocess.run(
                [sys.executable, str(HERE / 'latency_trace.py'), str(path), '--ladder',
                 str(arguments.ladder)], check=True,
            )
            trace = read_trace(path)
        arguments.trace = None
        arguments.recorded = trace.scaled(HEAVIEST_MS)
        return arguments.recorded
    arguments.recorded = None
    if arguments.trace:
        half = read_trace(arguments.trace).half(arguments.split == 'test')
        arguments.recorded = half.scaled(HEAVIEST_MS)
    return arguments.recorded


def _scenarios(asked: str | None, trace: LatencyTrace | None) -> list[str]:
    names = asked.split(',') if asked else list(SCENARIOS)
    if not asked and trace is None:
        names.remove('S1m')  # needs a recording under contention
    return names


def _fly_all(job: tuple[str, int, argparse.Namespace]) -> dict[str, Metrics]:
    name, seed, arguments = job
    trace = arguments.recorded or made_up_trace(
        seed, jitter=arguments.jitter, frames=int(arguments.duration * 30))
    world = make_world(name, trace, seed, arguments.duration, arguments.staleness)
    return {
        pilot: measure(world, fly(world, make(world))) for pilot, make in pilots(world).items()
    }


def _cost_table(trace: LatencyTrace) -> str:
    lines = [
        '### Cost, microseconds of CPU time', '',
        '| policy | decision, median | p99 | per frame, median | p99 | bytes grown over 140 s |',
        '|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {cost.name} | {cost.median_us:.1f} | {cost.p99_us:.1f} | {cost.frame_median_us:.1f} '
        f'| {cost.frame_p99_us:.1f} | {cost.grown_bytes} |' for cost in costs(trace)
    ]
    return '\n'.join(lines) + '\n'


def _write_csv(path: Path, flights: Flights) -> None:
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        columns = [field.name for field in dataclasses.fields(Metrics)]
        writer.writerow(['scenario', 'policy', 'seed', *columns])
        for (scenario, pilot), metrics in flights.items():
            for seed, one in enumerate(metrics):
                writer.writerow([scenario, pilot, seed, *dataclasses.astuple(one)])


if __name__ == '__main__':
    main()
