# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Records what every level of a ladder needs for the same frame, quiet and under contention.

    python benchmarks/latency_trace.py OUT.npz [--ladder DIR] [--frames 2000] [--burners 2]
        [--load steady|bursts|periodic|memory] [--always]

Without a ladder: the aerial detector at five widths with untrained weights (its times are real,
its accuracies are made up and said to be). Levels take turns frame by frame, so whatever
disturbs the machine disturbs all of them alike. "Contended" is beside processes that keep the
cores busy; "quiet" is as quiet as the machine is at the time, whose load average is noted, or
(``--always``) beside one such process, so that single frames are disturbed there as well.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.onboard.engines.base import Engine
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.simulation.traces import LatencyTrace, write_trace
from uav_prune_perception.onboard.telemetry.machine import device_name

WIDTHS = (1.5, 1.25, 1.0, 0.75, 0.5)
MADE_UP_ACCURACY = (0.62, 0.608, 0.585, 0.55, 0.48)
SIZE = (320, 416)  # height and width: some 20 ms on one core of a small server
WARM_UP = 20
LOADS = ('steady', 'bursts', 'periodic', 'memory')
BURST_S, PAUSE_S = 0.4, 1.2  # means; periodic: exactly so long
MEMORY_MIB = 96  # copied to and fro: more than any cache holds


def main() -> None:
    """Parse, record, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('--ladder', type=Path)
    parser.add_argument('--frames', type=int, default=2000)
    parser.add_argument('--burners', type=int, default=2)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--load', choices=LOADS, default='steady')
    parser.add_argument('--always', action='store_true')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.ladder:
            ladder = open_ladder(arguments.ladder)
            what = f'ladder {ladder.name}'
            names = tuple(level.name for level in ladder.levels)
            kept = tuple(level.kept_macs for level in ladder.levels)
            accuracy = tuple(level.accuracy.value for level in ladder.levels)
            files = [ladder.file(level) for level in ladder.levels]
        else:
            what = f'aerial detector, untrained, {SIZE[1]}x{SIZE[0]}; accuracies made up'
            shares = tuple((width / WIDTHS[0])**2 for width in WIDTHS)
            names = tuple(f'{share:.0%}'.rstrip('%') for share in shares)
            kept, accuracy = shares, MADE_UP_ACCURACY
            files = [detector(width, Path(folder)) for width in WIDTHS]
        engines = [OnnxRuntimeEngine(file, threads=arguments.threads) for file in files]
        for engine in engines:
            engine.load()
            engine.warm_up(WARM_UP)
        latency_ms = {}
        load = os.getloadavg()[0]
        with burning(int(arguments.always), arguments.load):
            latency_ms['quiet'] = record(engines, arguments.frames)
        with burning(arguments.burners, arguments.load):
            latency_ms['contended'] = record(engines, arguments.frames)
    origin = (
        f'{device_name()}, ONNX Runtime on {arguments.threads} thread(s), {what}; contended by '
        f'{arguments.burners} burners ({arguments.load}), quiet beside '
        f'{int(arguments.always)}, load average before {load:.1f}'
    )
    write_trace(LatencyTrace(names, kept, accuracy, latency_ms, origin), arguments.out)
    print(origin)
    for condition, values in latency_ms.items():
        for name, row in zip(names, values, strict=True):
            p50, p95, p99 = np.percentile(row, (50, 95, 99))
            print(f'{condition:10s} {name:>6s}  p50 {p50:6.2f}  p95 {p95:6.2f}  p99 {p99:6.2f} ms')


def detector(width: float, folder: Path) -> Path:
    """The aerial detector at a width, as ONNX."""
    import torch

    from uav_prune_perception.export.onnx_export import export_onnx
    from uav_prune_perception.networks.aerial_detector import AerialDetector

    torch.manual_seed(0)
    return export_onnx(
        AerialDetector(4, width=width), torch.zeros(1, 3, *SIZE), folder / f'{width}.onnx',
        input_name='images', output_name='predictions',
    )


def record(engines: list[Engine], frames: int) -> np.ndarray:
    """Milliseconds, float32 [levels, frames]; levels take turns."""
    shape = [size or 1 for size in engines[0].input_shapes[0]]
    tensor = np.random.default_rng(0).random(shape, np.float32)
    times = np.empty((len(engines), frames), np.float32)
    for n in range(frames):
        for level, engine in enumerate(engines):
            start = time.perf_counter()
            engine.infer(tensor)
            times[level, n] = (time.perf_counter() - start) * 1e3
    return times


@contextmanager
def burning(count: int, load: str = 'steady') -> Iterator[None]:
    """Keep ``count`` cores busy by processes of our own, and only those."""
    burners = [
        multiprocessing.get_context('spawn').Process(target=_burn, args=(load, n), daemon=True)
        for n in range(count)
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def _burn(load: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    work = _copy() if load == 'memory' else _multiply(rng)
    while True:
        busy_s, pause_s = {
            'bursts': (rng.exponential(BURST_S), rng.exponential(PAUSE_S)),
            'periodic': (BURST_S, PAUSE_S),
        }.get(load, (1.0, 0.0))
        end_s = time.monotonic() + busy_s
        while time.monotonic() < end_s:
            next(work)
        time.sleep(pause_s)


def _multiply(rng: np.random.Generator) -> Iterator[None]:
    values = rng.random((200, 200))
    while True:
        values = values @ values
        values /= values.max()
        yield


def _copy() -> Iterator[None]:
    source = np.zeros(MEMORY_MIB << 17)
    target = np.empty_like(source)
    while True:
        np.copyto(target, source)
        source[::512] += 1.0
        yield


if __name__ == '__main__':
    main()
