# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Published networks cut by us and by Torch-Pruning to the same MACs, in ONNX Runtime.

    python benchmarks/engine_cuts.py [NETWORK ...] [--rounds 15] [--json OUT.json]

Needs torchvision, ultralytics (AGPL, benchmark only) and torch-pruning, which are no dependencies
of this project. Weights are random: they do not matter to the time. Torch-Pruning cuts as its
manual says (the same share of every layer; once as it is, once with its ``round_to=8``), and its
share is searched for the wanted MACs. One thread, CPU time, dense and all cuts taking turns; in
every turn a network runs three times, of which the first only warms the caches. Ratios are
medians over the turns of (cut / dense in the same turn).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zoo
from coverage_measure import floats, macs_of
from coverage_torch_pruning import output_layers
from reference_nets import cut_network
from torch import Tensor, nn

from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.telemetry.machine import device_name

NETWORKS: dict[str, tuple[int, tuple[float, ...]]] = {
    'tv:resnet18': (224, (0.5, 0.3)),
    'tv:resnet50': (224, (0.5, 0.3)),
    'tv:vgg16_bn': (224, (0.5, 0.3)),
    'head:ssd300_vgg16': (300, (0.5, 0.3)),
    'tv:mobilenet_v2': (224, (0.5, 0.28)),
    'yolo:yolov8n': (640, (0.5, 0.26)),
}
"""Size of the picture and the shares of the MACs that are kept."""
OURS = (8, 16)
BURST = 3


class OneOutput(nn.Module):
    """Everything that a network says, as one tensor (engines take one in, one out)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Concatenated where the outputs fit together, else the first."""
        outputs = floats(self.model(x))
        if len({out.shape[:2] for out in outputs}) == 1:
            return torch.cat([out.flatten(2) for out in outputs], -1) if outputs[0].dim() > 2 \
                else outputs[0]
        return outputs[0]


def main() -> None:
    """Cut, export, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('networks', nargs='*', default=list(NETWORKS), metavar='NETWORK')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f'{device_name()}, one thread, {options.rounds} rounds', flush=True)
    rows = []
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            files, kept = cuts(name, Path(folder))
            times = measured(files, zoo.build(name, NETWORKS[name][0]).example[0], options.rounds)
        rows += report(name, kept, times)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))


def cuts(name: str, folder: Path) -> tuple[dict[str, Path], dict[str, float]]:
    """ONNX files of the dense network and its cuts, and their shares of the MACs, by title."""
    network = zoo.build(name, NETWORKS[name][0])
    picture = network.example[0]
    dense = macs_of(network.factory(), network.example)
    files, kept = {}, {}

    def add(title: str, model: nn.Module) -> None:
        kept[title] = macs_of(model, network.example) / dense
        files[title] = export_onnx(
            OneOutput(model).eval(), picture, folder / f'{len(files)}.onnx',
            input_name='x', output_name='y',
        )

    add('dense', network.factory())
    for share in NETWORKS[name][1]:
        for title, round_to in ((f'{share:.0%} TP', None), (f'{share:.0%} TP by 8', 8)):
            add(title, torch_pruning(network, share, round_to))
        asked = kept[f'{share:.0%} TP']
        for step in OURS:
            cut = cut_network(network.factory(), picture, asked, step)
            if cut is not None:
                add(f'{share:.0%} ours by {step}', cut[0])
    return files, kept


def torch_pruning(network: zoo.Network, share: float, round_to: int | None) -> nn.Module:
    """Its pruner with the ratio whose result is nearest to this share of the MACs."""
    import torch_pruning as tp

    def pruned(ratio: float) -> nn.Module:
        model = network.factory()
        pruner = tp.pruner.BasePruner(
            model, network.example[0], importance=tp.importance.MagnitudeImportance(p=1),
            pruning_ratio=ratio, round_to=round_to, ignored_layers=output_layers(model),
        )
        pruner.step()
        return model.eval()

    dense = macs_of(network.factory(), network.example)
    low, high = 0.0, 0.9
    best: tuple[float, nn.Module] | None = None
    for _ in range(6):
        middle = (low + high) / 2
        model = pruned(middle)
        kept = macs_of(model, network.example) / dense
        if best is None or abs(kept - share) < best[0]:
            best = abs(kept - share), model
        low, high = (middle, high) if kept > share else (low, middle)
    assert best is not None
    return best[1]


def measured(files: dict[str, Path], picture: Tensor, rounds: int) -> dict[str, np.ndarray]:
    """CPU milliseconds of every round, by title."""
    runs: dict[str, Callable[[], Any]] = {}
    array = picture.numpy()
    for title, path in files.items():
        engine = OnnxRuntimeEngine(path, threads=1)
        engine.load()
        runs[title] = lambda engine=engine: engine.infer(array)  # type: ignore[misc]
    times = {title: np.empty(rounds) for title in runs}
    for turn in range(-1, rounds):
        for title, run in runs.items():
            run()
            start = time.process_time()
            for _ in range(BURST - 1):
                run()
            if turn >= 0:
                times[title][turn] = 1e3 * (time.process_time() - start) / (BURST - 1)
    return times


def report(
    name: str, kept: dict[str, float], times: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Print one network's table; its rows as plain values."""
    print(f'\n{name}, {NETWORKS[name][0]} pixels')
    print(f'{"network":>18s} {"kept MACs":>9s} {"p50 ms":>9s} {"/dense":>7s} {"min/min":>7s} '
          f'over promise')
    rows = []
    for title, took in times.items():
        ratio = float(np.median(took / times['dense']))
        least = float(took.min() / times['dense'].min())
        row = {'network': name, 'cut': title, 'kept_macs': kept[title],
               'p50_ms': float(np.median(took)), 'to_dense': ratio, 'min_to_min': least,
               'over_promise': ratio / kept[title] - 1}
        rows.append(row)
        print(f'{title:>18s} {row["kept_macs"]:9.3f} {row["p50_ms"]:9.2f} {ratio:7.3f} '
              f'{least:7.3f} {row["over_promise"]:+.0%}', flush=True)
    return rows


if __name__ == '__main__':
    main()
