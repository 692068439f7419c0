# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a decision costs: time and memory, on the observations of a real simulated flight."""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
from policy_pilots import BOUND, ORACLE, pilots

from uav_prune_perception.onboard.policy.base import Decision, Observation
from uav_prune_perception.onboard.simulation import LatencyTrace, fly, make_world

ROUNDS = 5


@dataclass(frozen=True)
class Cost:
    """Microseconds of this thread's CPU time, bytes grown.

    Every decision is made once in each of some rounds, from the same beliefs; its cost is that of
    its best round: the rest is other processes. ``median_us`` and ``p99_us`` are over the
    decisions, ``frame_*`` of the cost divided by the frames that came since the last decision.
    """

    name: str
    median_us: float
    p99_us: float
    frame_median_us: float
    frame_p99_us: float
    grown_bytes: int


class _Recorder:
    """Flies like the pilot it wraps and keeps what it saw."""

    def __init__(self, pilot: Any) -> None:
        self.pilot = pilot
        self.seen: list[Observation] = []

    def decide(self, observation: Observation) -> Decision:
        self.seen.append(observation)
        return self.pilot.decide(observation)


def costs(trace: LatencyTrace) -> list[Cost]:
    """Of every pilot that decides, in S1 (300 s, 10 decisions a second)."""
    world = make_world('S1', trace, 0)
    found = []
    for name, make in pilots(world).items():
        if name in {ORACLE, BOUND} or name.startswith('static'):
            continue
        recorder = _Recorder(make(world))
        fly(world, recorder)
        found.append(_cost(name, recorder.seen, lambda make=make: make(world)))
    return found


def _cost(name: str, seen: list[Observation], make: Any) -> Cost:
    rounds = []
    gc.disable()
    for _ in range(ROUNDS):
        pilot, times = make(), []
        for observation in seen:
            start = time.thread_time_ns()
            pilot.decide(observation)
            times.append((time.thread_time_ns() - start) * 1e-3)
        rounds.append(times)
    gc.enable()
    decisions = np.min(rounds, axis=0)
    frames = decisions / np.maximum(1, [len(observation.frames) for observation in seen])
    pilot = make()
    half = len(seen) // 2
    for observation in seen[:half]:
        pilot.decide(observation)
    gc.collect()
    tracemalloc.start()
    for observation in seen[half:half + 10]:
        pilot.decide(observation)
    before, _ = tracemalloc.get_traced_memory()
    for observation in seen[half + 10:]:
        pilot.decide(observation)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    shares = [float(q) for each in (decisions, frames) for q in np.percentile(each, (50, 99))]
    return Cost(name, *shares, after - before)
