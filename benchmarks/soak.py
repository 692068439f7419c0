# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Flies the node under random faults, and watches that nothing is lost, hangs, dies or grows.

    python benchmarks/soak.py --minutes 15 --seed 1 [--json OUT]

The node is a process of its own, over real DDS, with engines that break at random
(`soak_engine`); `soak_faults` is what else happens to it. At every moment: the frame counters add
up, diagnostics keep coming, transitions and parameters are answered, every end by a signal is one
with exit code 0, no traceback is logged. Odd seeds fly on simulated time that jumps.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from uav_prune_perception.ros.dds_profile import profile_variable

HERE = Path(__file__).resolve().parent
WARM_UP_SHARE = 0.25  # of the samples; memory settles while everything happens for the first time


def main() -> int:
    """Parse, fly, report; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=15.0)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--rate-hz', type=float, default=150.0, help='of each of two cameras')
    parser.add_argument('--only', nargs='+', default=[], metavar='FAULT', help='no others')
    parser.add_argument('--json', type=Path, help='write the report here')
    parser.add_argument('--keep', type=Path, metavar='FOLDER', help='the log and memory samples')
    parser.add_argument('--node', action='store_true', help=argparse.SUPPRESS)
    options, ros = parser.parse_known_args()
    if options.node:
        import soak_engine

        return soak_engine.main(options.seed, ros)
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ[profile_variable()] = str(HERE.parent / 'config/fastdds_shm.xml')
    report = fly(options.minutes * 60, options.seed, options.rate_hz, options.only, options.keep)
    text = json.dumps(report, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text)
    return 1 if report['violations'] else 0


def fly(
    seconds: float, seed: int, rate_hz: float, only: list[str], keep: Path | None = None
) -> dict[str, Any]:
    """One soak; what happened, and everything that should not have.

    Args:
        seconds: how long.
        seed: of the dice; odd = simulated time.
        rate_hz: of each camera.
        only: names of faults; [] = every fault.
        keep: folder for the node's log (`node.log`) and resident memory (`memory.json`: of each
            process pairs of images so far and MiB).
    """
    from soak_engine import make_ladder
    from soak_faults import FAULTS
    from soak_pilot import Pilot

    dice = random.Random(seed)
    faults: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        ladder = Path(folder, 'ladder')
        make_ladder(ladder)
        logs = keep or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        (logs / 'node.log').unlink(missing_ok=True)
        with Pilot(ladder, logs / 'node.log', seed, rate_hz) as pilot:
            end = time.monotonic() + seconds
            shown = time.monotonic()
            while time.monotonic() < end:
                fault = dice.choice(only or list(FAULTS))
                faults[fault] += 1
                FAULTS[fault](pilot, dice)
                pilot.listen(dice.uniform(0.05, 0.6))
                pilot.check(fault)
                if dice.random() < 0.7:
                    pilot.recover()
                if time.monotonic() - shown > 60:
                    shown = time.monotonic()
                    left = end - shown
                    print(f'{left:.0f} s left, {pilot.totals["received"]} images, '
                          f'{len(pilot.violations)} violations', file=sys.stderr, flush=True)
            pilot.recover()
            if keep:
                (keep / 'memory.json').write_text(json.dumps(pilot.memory))
            return {
                'seed': seed, 'seconds': round(seconds), 'sim_time': pilot.sim_time,
                'faults': dict(sorted(faults.items())), 'frames': dict(pilot.totals),
                'hours_at_30_hz': round(pilot.totals['received'] / 30 / 3600, 2),
                'configurations': pilot.configurations, 'processes': pilot.processes,
                'stats_checked': pilot.stats_checked,
                'memory': growth(pilot.memory), 'violations': pilot.violations,
            }


def growth(samples: list[list[tuple[float, float]]]) -> dict[str, float]:
    """Resident memory of the longest-lived process: MiB at the start and the end, and slope.

    Args:
        samples: for each process (images received so far, MiB) over its life.
    """
    longest = max(samples, key=len, default=[])
    settled = np.array(longest[int(len(longest) * WARM_UP_SHARE):])
    if len(settled) < 4:
        return {}
    slope = np.polyfit(settled[:, 0], settled[:, 1], 1)[0] if np.ptp(settled[:, 0]) else 0.0
    tenth = max(1, len(settled) // 10)
    return {
        'images': float(np.ptp(settled[:, 0])),
        'begin_mib': round(float(np.median(settled[:tenth, 1])), 2),
        'end_mib': round(float(np.median(settled[-tenth:, 1])), 2),
        'mib_per_hour_at_30_hz': round(float(slope * 30 * 3600), 3),
    }


if __name__ == '__main__':
    sys.exit(main())
