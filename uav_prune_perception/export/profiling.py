# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency of the levels on this machine, measured side by side."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from uav_prune_perception.ladder import DeviceProfile
from uav_prune_perception.onboard.telemetry.machine import device_name, usable_cores

from .verification import open_engine

__all__ = ['device_name', 'profile_levels', 'slower_levels', 'usable_cores']

WARM_UP = 5


def profile_levels(
    models: Mapping[str, Path],
    *,
    runs: int = 100,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, DeviceProfile]:
    """Time one frame's inference of every level, taking turns.

    One run of each level after the other, ``runs`` times: a busy moment of the machine then hits
    all levels alike, and their order can be believed.

    Args:
        models: ONNX file by level name.
        runs: timed inferences of each level, after a warm-up.
        threads: of the engine; 0 = one for each usable core.
        progress: told (rounds done, rounds in all).

    Raises:
        ExportError: ONNX Runtime refuses a file.
    """
    threads = threads or usable_cores()
    engines = {name: open_engine(path, threads=threads) for name, path in models.items()}
    random = np.random.default_rng(0)
    inputs = {
        name: random.random([size or 1 for size in engine.input_shapes[0]], dtype=np.float32)
        for name, engine in engines.items()
    }
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(-WARM_UP, runs):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.infer(inputs[name])
            if turn >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
        progress(max(0, turn + 1), runs)
    plural = 's' if threads > 1 else ''
    title = f'ONNX Runtime {onnxruntime.__version__} CPU fp32, {threads} thread{plural}'
    return {name: _profile(title, values) for name, values in times.items()}


def slower_levels(profiles: Mapping[str, DeviceProfile]) -> list[str]:
    """One line for each level that is not faster than the one above it (in the given order)."""
    names = list(profiles)
    lines = []
    for upper, lower in itertools.pairwise(names):
        above, below = profiles[upper].latency_ms_p50, profiles[lower].latency_ms_p50
        if below >= above:
            lines.append(
                f'level {lower} is not faster than level {upper} on this machine '
                f'({below:.2f} against {above:.2f} ms): flying it gains nothing here'
            )
    return lines


def _profile(engine: str, values: list[float]) -> DeviceProfile:
    p50, p95, p99 = (round(float(np.percentile(values, q)), 4) for q in (50, 95, 99))
    return DeviceProfile(engine, len(values), p50, p95, p99)
