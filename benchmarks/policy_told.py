# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a rule scores that is told what every level would have needed for every past frame.

    python benchmarks/policy_told.py --trace FILE.npz [--scenarios S0,S1] [--split tuning|test]

No policy can know that of levels that did not run, and the best window and margin are chosen
in hindsight, under the rules of a real one: a dwell before a step up, six changes a minute, and no
more than 5 % of the frames late, which the oracle is not bound to. What it
misses of the oracle is the future and these rules, not a matter of filters. Queues are left out
(every frame is judged by its own latency): a policy may pass it by a little where frames wait.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
from policy import HEAVIEST_MS, TEST_SEED

from uav_prune_perception.onboard.simulation import (
    LOAD_ONLY,
    World,
    best_schedule,
    fly,
    make_world,
    measure,
    read_trace,
)

WINDOWS_S = (1 / 3, 1.0, 2.0, 5.0, 10.0, 30.0)
MARGINS = (0.0, 0.005, 0.01, 0.02, 0.03)  # of worth, for a change
TICK, RATE_HZ = 3, 30
MOST_CHANGES = 6.0  # a minute
MOST_LATE = 0.05


def main() -> None:
    """Parse, fly, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--trace', type=Path, required=True)
    parser.add_argument('--scenarios', default='S0,S1,S1m,S2')
    parser.add_argument('--split', choices=('tuning', 'test'), default='test')
    parser.add_argument('--duration', type=float, default=300.0)
    arguments = parser.parse_args()
    test = arguments.split == 'test'
    trace = read_trace(arguments.trace).half(test).scaled(HEAVIEST_MS)
    print('| scenario | bound | told, dwell 5 s | no dwell | dwell 5 s, late as it likes |')
    print('|---|---|---|---|---|')
    for name in arguments.scenarios.split(','):
        world = make_world(name, trace, TEST_SEED if test else 0, arguments.duration)
        oracle = measure(world, fly(world, best_schedule(world))).score
        bound = measure(world, fly(world, best_schedule(world, LOAD_ONLY))).score
        rules = ((5.0, MOST_LATE), (0.0, MOST_LATE), (5.0, 1.0))
        told = [best_told(world, *rule) / oracle - 1 for rule in rules]
        losses = (bound / oracle - 1, *told)
        cells = ' | '.join('-' if math.isnan(loss) else f'{loss:+.1%}' for loss in losses)
        print(f'| {name} | {cells} |', flush=True)


def best_told(world: World, dwell_s: float, most_late: float) -> float:
    """The best score over windows and margins that keep the rules; nan where none does."""
    period_ms = world.period_s * 1e3
    fits = (world.latency_ms <= world.deadline_ms) & (world.latency_ms <= period_ms)
    worth = np.where(fits, world.accuracy, 0.0)
    accuracy = np.array([level.accuracy for level in world.levels])[:, None]
    found = [math.nan]
    for window_s, margin in itertools.product(WINDOWS_S, MARGINS):
        frames = round(window_s * RATE_HZ)
        past = [np.convolve(row, np.ones(frames) / frames)[:world.frames] for row in fits]
        path = _path(accuracy * np.array(past), margin, dwell_s)
        changes = np.count_nonzero(np.diff(path)) / (world.arrival_s[-1] / 60.0)
        run = path, np.arange(world.frames)
        if changes <= MOST_CHANGES and 1.0 - fits[run].mean() <= most_late:
            found.append(float(worth[run].mean()))
    return max(found, key=lambda score: (not math.isnan(score), score))


def _path(value: np.ndarray, margin: float, dwell_s: float) -> np.ndarray:
    """Level of every frame: down at once, up after the dwell, to what was worth most."""
    level, since = 0, None
    path = np.empty(value.shape[1], np.int64)
    for frame in range(value.shape[1]):
        path[frame] = level
        if frame % TICK:
            continue
        best = int(value[:, frame].argmax())
        if value[best, frame] <= value[level, frame] + margin:
            since = None
        elif best > level:
            level, since = best, None
        else:
            since = frame if since is None else since
            if (frame - since) / RATE_HZ >= dwell_s:
                level, since = best, None
    return path


if __name__ == '__main__':
    main()
