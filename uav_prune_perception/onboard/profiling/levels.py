# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cost of the levels on this machine, measured side by side."""

from __future__ import annotations

import datetime
import itertools
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...ladder import DeviceProfile
from ..engines.base import Engine
from ..telemetry.cpu_load import clock_hz
from ..telemetry.gpu_load import GpuLoad
from ..telemetry.sysfs import read_text
from ..telemetry.thermal import ThermalZones
from .power_meter import PowerMeter

WARM_UP = 10
SUSTAINED_S = 0.3  # of each block without pause; there are two for each level
METERED_S = 1.0  # likewise, where power is measured: rails are slow
# A level must be faster than the one above it by more than what two equal ones differ by.
NOISE = 0.01

Progress = Callable[[int, int], None]


def profile_engines(
    engines: Mapping[str, Engine],
    *,
    runs: int = 100,
    memory_mib: Mapping[str, float] | None = None,
    meter: PowerMeter | None = None,
    root: Path = Path('/'),
    progress: Progress = lambda done, total: None,
) -> dict[str, DeviceProfile]:
    """Latency of every level taking turns, then throughput (and energy) of each without pause.

    Args:
        engines: loaded, by level name, from the heaviest to the lightest.
        runs: timed inferences of each level, after a warm-up.
        memory_mib: what each level's loading added, if it was measured.
        meter: of this machine's power.
        root: where ``sys`` and ``proc`` lie.
        progress: told (rounds done, rounds in all).

    Raises:
        EngineError: an engine does not run.
    """
    times = timed_rounds(engines, runs, progress)
    seconds = METERED_S if meter else SUSTAINED_S
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    # There and back: a machine that warms up is unfair to none.
    for name in (*engines, *reversed(list(engines))):
        rates[name].append(_sustained(engines[name], seconds, meter))
    memory = memory_mib or {}
    return {
        name: _profile(engine, times[name], rates[name], memory.get(name, math.nan), root)
        for name, engine in engines.items()
    }


def timed_rounds(
    engines: Mapping[str, Engine], runs: int, progress: Progress = lambda done, total: None
) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of ``runs`` inferences of each engine, by name: float64 [runs].

    The engines take turns: a busy moment of the machine then hits all alike, and their order can
    be believed. Each turn begins with a run that is not timed: in flight one level runs for long,
    with its weights in the cache.

    Raises:
        EngineError: an engine does not run.
    """
    random = np.random.default_rng(0)
    inputs = {
        name: random.random([size or 1 for size in engine.input_shapes[0]], dtype=np.float32)
        for name, engine in engines.items()
    }
    times = {name: np.empty(runs) for name in engines}
    for turn in range(-WARM_UP, runs):
        for name, engine in engines.items():
            engine.infer(inputs[name])
            start = time.perf_counter()
            engine.infer(inputs[name])
            if turn >= 0:
                times[name][turn] = 1e3 * (time.perf_counter() - start)
        progress(max(0, turn + 1), runs)
    return times


def slower_levels(profiles: Mapping[str, DeviceProfile]) -> list[str]:
    """One line for each level that is not faster than the one above it (in the given order)."""
    lines = []
    for upper, lower in itertools.pairwise(profiles):
        above, below = profiles[upper].latency_ms_p50, profiles[lower].latency_ms_p50
        if below >= above * (1 - NOISE):
            lines.append(
                f'level {lower} is not faster than level {upper} on this machine '
                f'({below:.2f} against {above:.2f} ms): flying it gains nothing here'
            )
    return lines


def load_measured(engine: Engine, root: Path = Path('/')) -> float:
    """Load an engine and run it; MiB by which the process grew, nan where that is not known.

    Raises:
        EngineError: it cannot be loaded, or does not run.
    """
    before = _resident_mib(root)
    engine.load()
    engine.warm_up(3)
    return max(_resident_mib(root) - before, 0.0)  # in this order nan stays nan


def _sustained(
    engine: Engine, seconds: float, meter: PowerMeter | None
) -> tuple[float, float]:
    """Inferences per second without pause, and mean watts meanwhile (nan = unknown)."""
    count, took_s = 0, 0.0
    picture = np.random.default_rng(0).random(
        [size or 1 for size in engine.input_shapes[0]], dtype=np.float32
    )

    def work() -> None:
        nonlocal count, took_s
        start = time.perf_counter()
        while (took_s := time.perf_counter() - start) < seconds:
            engine.infer(picture)
            count += 1

    if meter:
        watts = meter.mean_w(work)
    else:
        work()
        watts = math.nan
    return count / took_s, watts


def _profile(
    engine: Engine,
    times: NDArray[np.float64],
    rates: list[tuple[float, float]],
    memory_mib: float,
    root: Path,
) -> DeviceProfile:
    p50, p95, p99 = (round(float(np.percentile(times, q)), 4) for q in (50, 95, 99))
    rate = float(np.mean([rate for rate, _ in rates]))
    watts = float(np.mean([watts for _, watts in rates]))
    clock = GpuLoad(root).clock().current_hz if engine.on_gpu else clock_hz(root)
    return DeviceProfile(
        engine.title, len(times), p50, p95, p99,
        energy_j=_known(watts / rate, 5),
        power_w=_known(watts, 3),
        throughput_hz=_known(rate, 2),
        memory_mib=_known(memory_mib, 1),
        temperature_c=_known(ThermalZones(root).temperature_c(), 1),
        clock_mhz=_known(clock * 1e-6, 0),
        measured=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
    )


def _known(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _resident_mib(root: Path) -> float:
    found = re.search(r'^VmRSS:\s*(\d+) kB', read_text(root / 'proc/self/status'), re.MULTILINE)
    return int(found.group(1)) / 1024 if found else math.nan
