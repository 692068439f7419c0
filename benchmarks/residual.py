# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Residual reconstruction against coupled pruning, at equal kept channels.

Every producer of a residual stream prefers a set of its own (its half of largest L1 norm).
Coupled pruning that loses none of them must keep the union everywhere; residual reconstruction
computes only each producer's own set. Random weights, so the sets are independent: the worst case
for coupling. ONNX Runtime on one CPU thread; the median of --runs runs, the two taken in turn.

    python benchmarks/residual.py --out residual     # needs torchvision for resnet50
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from coverage_measure import write_onnx

from uav_prune_perception.channels import ChannelGraph, branch_magnitude, compact, magnitude
from uav_prune_perception.networks.registry import build_network

NETWORKS = {'resnet50': 224, 'resnet18': 224, 'aerial_detector': 320, 'yolov8n': 640}
ZOO = {'resnet50': 'tv:resnet50', 'yolov8n': 'yolo:yolov8n'}


def build(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A network with random weights in evaluation mode, and an image."""
    torch.manual_seed(0)
    x = torch.randn(1, 3, NETWORKS[name], NETWORKS[name])
    if name in ZOO:
        import zoo

        return zoo.build(ZOO[name]).factory(), x
    options: dict[str, Any] = {'depth': 2} if name == 'aerial_detector' else {'small_stem': False}
    return build_network(name, classes=10, **options).eval(), x


def keeps(graph: ChannelGraph, model: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """Three ways to keep half of each producer's channels."""
    scores = magnitude(model, graph.groups)
    own = graph.choose({**scores, **branch_magnitude(model, graph.groups)}, 0.5)
    union = {
        name: torch.unique(torch.cat(list(kept.values()))) if isinstance(kept, dict) else kept
        for name, kept in own.items()
    }
    return {
        'coupled, one set': graph.choose(scores, 0.5),
        'coupled, union': union,
        'residual': own,
    }


def session_of(model: torch.nn.Module, x: torch.Tensor, folder: str) -> Any:
    """An ONNX Runtime session on one thread, checked against torch."""
    import onnxruntime

    path = str(Path(folder) / 'model.onnx')
    reference = write_onnx(model, (x,), path, dynamo=False)[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    out = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    error = float((out - reference).abs().max() / reference.abs().max())
    assert error < 1e-4, error
    return session


def measure(name: str, runs: int) -> list[dict[str, Any]]:
    """MACs, parameters, error and latency of each way."""
    model, x = build(name)
    graph = ChannelGraph.trace(model, x)
    rows, sessions = [], []
    with tempfile.TemporaryDirectory() as folder:
        for way, keep in keeps(graph, model).items():
            plan = graph.plan(keep)
            small = compact(model, plan)
            cost = graph.cost(keep)
            error = max(graph.verify(model, small, plan), graph.prove(plan))
            rows.append(
                {
                    'network': name,
                    'way': way,
                    'macs': cost.macs,
                    'params': cost.params,
                    'left': cost.macs / graph.cost().macs,
                    'error': error,
                }
            )
            sessions.append(session_of(small, x, folder))
    times: list[list[float]] = [[] for _ in sessions]
    for run in range(runs + 3):
        for session, taken in zip(sessions, times, strict=True):  # in turns: the machine is shared
            started = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: x.numpy()})
            if run >= 3:
                taken.append(1e3 * (time.perf_counter() - started))
    for row, taken in zip(rows, times, strict=True):
        row['ms'] = statistics.median(taken)
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument('--runs', type=int, default=30)
    parser.add_argument('--out', default='residual', help='writes OUT.md and OUT.json')
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in options.only for row in measure(name, options.runs)]
    lines = [
        '| network | way | MACs | of dense | parameters | median ms | error |',
        '|---|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {r["network"]} | {r["way"]} | {r["macs"] / 1e6:,.0f} M | {r["left"]:.0%} | '
        f'{r["params"] / 1e6:.2f} M | {r["ms"]:.2f} | {r["error"]:.0e} |'
        for r in rows
    ]
    text = '\n'.join(lines) + '\n'
    print(text)
    Path(f'{options.out}.json').write_text(json.dumps(rows, indent=1) + '\n')
    Path(f'{options.out}.md').write_text(text)


if __name__ == '__main__':
    main()
