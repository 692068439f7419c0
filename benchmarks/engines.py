# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, OpenVINO and torch side by side on dense and cut networks; what cuts bring.

    python benchmarks/engines.py [--rounds 60] [--threads 1] [--kept 0.5 0.3] [--round-to 1 8 16]
                                 [--only ResNet-18] [--json OUT.json]

Two tables for each network, from one interleaved run: in every round each engine runs each
network three times, of which the first only warms the caches (in flight one network runs all the
time). Engines are compared by the median over the rounds of (their time / ONNX Runtime's time on
the same network); cuts by the median of (cut / dense) on one engine, beside the promise, which is
the share of MACs that the cut keeps. With one thread the clock is the process's CPU time, which
neighbours on a busy machine stretch far less than time on the wall. OpenVINO is left out where it
is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_nets import INPUT, REFERENCES, Net, reference_nets

from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.telemetry.machine import device_name

Run = Callable[[], Any]
BURST = 3


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=60)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--kept', type=float, nargs='+', default=[0.5, 0.3])
    parser.add_argument('--round-to', type=int, nargs='+', default=[1, 8, 16])
    parser.add_argument('--only', default='', help='networks whose name contains this')
    parser.add_argument('--engines', nargs='+', default=['onnxruntime', 'openvino', 'torch'])
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f'{device_name()}, {options.threads} thread(s), {options.rounds} rounds')
    results = {}
    for name, reference in REFERENCES.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            nets = reference_nets(
                reference, tuple(options.kept), tuple(options.round_to), Path(folder)
            )
            picture = torch.rand(1, 3, *reference.size)
            times = measured(nets, picture, options)
        results[name] = report(name, nets, times)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def measured(
    nets: dict[str, Net], picture: torch.Tensor, options: argparse.Namespace
) -> dict[tuple[str, str], np.ndarray]:
    """Milliseconds of every round, by (engine, network)."""
    makers = {'onnxruntime': onnx_runtime, 'openvino': openvino, 'torch': torch_eager}
    runs: dict[tuple[str, str], Run] = {}
    for engine in options.engines:
        if engine == 'openvino' and importlib.util.find_spec('openvino') is None:
            print('openvino is not installed: left out')
            continue
        for title, net in nets.items():
            runs[engine, title] = makers[engine](net, picture, options.threads)
    times = {key: np.empty(options.rounds) for key in runs}
    clock = time.process_time if options.threads == 1 else time.perf_counter
    for turn in range(-3, options.rounds):
        for key, run in runs.items():
            run()
            start = clock()
            for _ in range(BURST - 1):
                run()
            if turn >= 0:
                times[key][turn] = 1e3 * (clock() - start) / (BURST - 1)
    return times


def onnx_runtime(net: Net, picture: torch.Tensor, threads: int) -> Run:
    """The engine that flies."""
    engine = OnnxRuntimeEngine(net.onnx, threads=threads)
    engine.load()
    array = picture.numpy()
    return lambda: engine.infer(array)


def openvino(net: Net, picture: torch.Tensor, threads: int) -> Run:
    """OpenVINO as its manual asks for latency; float32, for it would take bfloat16 or float16."""
    from openvino import Core

    compiled = Core().compile_model(
        str(net.onnx), 'CPU',
        {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads, 'NUM_STREAMS': 1,
         'INFERENCE_PRECISION_HINT': 'f32'},
    )
    request, array = compiled.create_infer_request(), picture.numpy()
    return lambda: request.infer({INPUT: array}, share_inputs=True, share_outputs=True)


def torch_eager(net: Net, picture: torch.Tensor, threads: int) -> Run:
    """The network as it was trained, channels last."""
    model = net.model.to(memory_format=torch.channels_last)
    tensor = picture.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            model(tensor)

    return run


def report(
    name: str, nets: dict[str, Net], times: dict[tuple[str, str], np.ndarray]
) -> list[dict[str, Any]]:
    """Print the table of one network; the rows as plain values."""
    engines = list(dict.fromkeys(engine for engine, _ in times))
    rows = []
    print(f'\n{name}')
    print(f'{"network":>14s} {"kept MACs":>9s} ' + ' '.join(
        f'{engine:>12s} {"/ORT":>5s} {"/dense":>6s}' for engine in engines
    ) + '  promise met within')
    for title, net in nets.items():
        row: dict[str, Any] = {'network': title, 'kept_macs': net.kept_macs}
        cells = []
        for engine in engines:
            took = times[engine, title]
            row[engine] = {
                'p50_ms': float(np.median(took)),
                'to_onnxruntime': float(np.median(took / times[engines[0], title])),
                'to_dense': float(np.median(took / times[engine, 'dense'])),
            }
            cell = row[engine]
            cells.append(f'{cell["p50_ms"]:9.3f} ms {cell["to_onnxruntime"]:5.2f} '
                         f'{cell["to_dense"]:6.3f}')
        row['over_promise'] = row[engines[0]]['to_dense'] / net.kept_macs - 1
        print(f'{title:>14s} {net.kept_macs:9.3f} {" ".join(cells)}  {row["over_promise"]:+.0%}',
              flush=True)
        rows.append(row)
    return rows


if __name__ == '__main__':
    main()
