# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Published networks cut by us and by Torch-Pruning to the same MACs, in ONNX Runtime.

    python benchmarks/engine_cuts.py [NETWORK ...] [--folder CUTS/] [--rounds 15] [--json OUT.json]

Needs torchvision, ultralytics (AGPL, benchmark only) and torch-pruning, which are no dependencies
of this project. Weights are random: they do not matter to the time. Torch-Pruning cuts as its
manual says (the same share of every layer; once as it is, once with its ``round_to=8``), its
share is searched for the wanted MACs, and the result is written by torch's exporter as it is; "our
export" is the same cut written by ours. Ours: the same share of every layer with widths in
multiples of 8 and 16, and ``prune.allocation: latency`` by 8. Cuts lie in CUTS/ and are found
again; the widths of every convolution go into OUT.json. One thread, CPU time, dense and all cuts
taking turns; in every turn a network runs three times, of which the first only warms the caches.
Ratios are medians over the turns of (cut / dense in the same turn).
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import torch
import zoo
from coverage_measure import floats, macs_of
from coverage_torch_pruning import output_layers
from reference_nets import cut_network
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact, magnitude
from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.methods.allocation import group_bounds
from uav_prune_perception.methods.cost_greedy import CostGreedy
from uav_prune_perception.methods.interfaces import Budget
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.telemetry.machine import device_name

NETWORKS: dict[str, tuple[int, tuple[float, ...]]] = {
    'tv:resnet18': (224, (0.5, 0.3)),
    'tv:resnet50': (224, (0.5, 0.3)),
    'tv:vgg16_bn': (224, (0.5, 0.3)),
    'head:ssd300_vgg16': (300, (0.5, 0.3)),
    'tv:mobilenet_v2': (224, (0.5, 0.28)),
    'yolo:yolov8n': (320, (0.5, 0.26)),
}
"""Size of the picture and the shares of the MACs that are kept."""
OURS = (8, 16)
MAX_CUT = 0.75  # of any layer, by latency
BURST = 3
SEARCH = 3  # trials of Torch-Pruning's ratio


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
    parser.add_argument('--folder', type=Path, help='where cuts are kept')
    parser.add_argument('--only-cut', action='store_true', help='measure nothing')
    parser.add_argument('--ours', action='store_true', help='without Torch-Pruning')
    parser.add_argument('--most', type=int, default=10**6, help='make so many new cuts, and end')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f'{device_name()}, one thread, {options.rounds} rounds', flush=True)
    rows = []
    for name in options.networks:
        with contextlib.ExitStack() as stack:
            folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            files, kept = cuts(name, folder, options.most, rival=not options.ours)
            if options.only_cut:
                continue
            times = measured(files, zoo.build(name, NETWORKS[name][0]).example[0], options.rounds)
        rows += report(name, kept, times, {title: widths(path) for title, path in files.items()})
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))


def cuts(
    name: str, folder: Path, most: int = 10**6, *, rival: bool = True
) -> tuple[dict[str, Path], dict[str, float]]:
    """ONNX files of the dense network and its cuts, and their shares of the MACs, by title."""
    folder = folder / name.replace(':', '_')
    folder.mkdir(parents=True, exist_ok=True)
    network = zoo.build(name, NETWORKS[name][0])
    known = folder / 'kept.json'
    kept: dict[str, float] = json.loads(known.read_text()) if known.exists() else {}
    dense, made = macs_of(network.factory(), network.example), []

    def add(title: str, make: Callable[[], nn.Module | None], *others: str) -> None:
        """``others`` are the same network, written as torch does."""
        if title in kept or len(made) >= most or (model := make()) is None:
            return
        model = model if isinstance(model, OneOutput) else OneOutput(model)
        for each in (title, *others):
            export_onnx(
                model.eval(), network.example[0], folder / f'{each}.onnx',
                input_name='x', output_name='y', rewrite=each == title,
            )
            kept[each] = macs_of(model, network.example) / dense
        made.append(title)
        known.write_text(json.dumps(kept, indent=1))

    has_c2f = any(type(module).__name__ == 'C2f' for module in network.factory().modules())
    add('dense', network.factory, *(['dense, torch'] if has_c2f else []))
    for share in NETWORKS[name][1]:
        if rival:
            for by, step in (('', None), (' by 8', 8)):
                rivals = f'{share:.0%} TP{by}'
                titles = [f'{rivals}, our export', rivals] if has_c2f else [rivals]
                add(titles[0], lambda share=share, step=step: torch_pruning(
                    network, share, step), *titles[1:])
        asked = kept.get(f'{share:.0%} TP', share)
        for step in OURS:
            add(f'{share:.0%} ours by {step}', lambda step=step, asked=asked: uniform(
                network.factory(), network, asked, step))
        add(f'{share:.0%} ours latency', lambda asked=asked: by_latency(
            network.factory(), network, asked))
        if has_c2f:
            add(f'{share:.0%} ours latency 2', lambda asked=asked: by_latency(
                with_split_c2f(network.factory()), network, asked))
    return {title: folder / f'{title}.onnx' for title in kept}, kept


def uniform(
    model: nn.Module, network: zoo.Network, kept: float, step: int
) -> nn.Module | None:
    """The same share of every layer gone."""
    cut = cut_network(OneOutput(model).eval(), network.example[0], kept, step)
    return cut[0] if cut else None


def by_latency(model: nn.Module, network: zoo.Network, kept: float) -> nn.Module:
    """Channels gone where the least magnitude is lost for each foreseen millisecond."""
    model, picture = OneOutput(model).eval(), network.example[0]
    graph = ChannelGraph.trace(model, picture)
    full = graph.cost().macs
    budget = Budget('macs', kept * full, full, lambda keep: graph.cost(keep).macs)
    bounds = {
        group.name: group_bounds(
            group.width, group.tied, group.width, min_channels=8, step=group.step(8),
            max_cut=MAX_CUT
        )
        for group in graph.groups
    }
    context: Any = SimpleNamespace(
        model=model, graph=graph, bounds=bounds,
        task=SimpleNamespace(example_input=lambda: picture),
    )
    scores = magnitude(model, graph.groups, 'l1')
    keep = CostGreedy('latency').allocate(scores, budget, context)
    return compact(model, graph.plan(keep)).eval()


def torch_pruning(network: zoo.Network, share: float, round_to: int | None) -> nn.Module:
    """Its pruner with the ratio whose result is nearest to this share of the MACs."""
    import torch_pruning as tp

    def pruned(ratio: float) -> nn.Module:
        model = with_split_c2f(network.factory())
        pruner = tp.pruner.BasePruner(
            model, network.example[0], importance=tp.importance.MagnitudeImportance(p=1),
            pruning_ratio=ratio, round_to=round_to, ignored_layers=output_layers(model),
        )
        pruner.step()
        return model.eval()

    dense = macs_of(network.factory(), network.example)
    tried: list[tuple[float, float, nn.Module]] = []
    ratio = 1 - share**0.5  # MACs go with the square of widths, roughly
    for _ in range(SEARCH):
        model = pruned(ratio)
        kept = macs_of(model, network.example) / dense
        tried.append((ratio, kept, model))
        if abs(kept - share) < 0.02 * share:
            break
        low = max((r for r, k, _ in tried if k > share), default=0.0)
        high = min((r for r, k, _ in tried if k <= share), default=0.95)
        ratio = min(high, max(low, 1 - (1 - ratio) * (share / kept) ** 0.5))
    return min(tried, key=lambda item: abs(item[1] - share))[2]


class SplitC2f(nn.Module):
    """YOLOv8's C2f with two convolutions in place of one whose output is chunked.

    Torch-Pruning cannot cut through the chunk; its YOLOv8 example replaces it in this way.
    """

    def __init__(self, c2f: Any) -> None:
        super().__init__()
        self.f, self.i, self.type = c2f.f, c2f.i, c2f.type
        self.cv0, self.cv1 = copy.deepcopy(c2f.cv1), copy.deepcopy(c2f.cv1)
        self.m, self.cv2, half = c2f.m, c2f.cv2, c2f.cv1.conv.out_channels // 2
        for part, rows in ((self.cv0, slice(0, half)), (self.cv1, slice(half, None))):
            part.conv.weight = nn.Parameter(part.conv.weight.detach()[rows].clone())
            part.conv.out_channels = half
            for name in ('weight', 'bias'):
                setattr(part.bn, name, nn.Parameter(getattr(part.bn, name).detach()[rows].clone()))
            for name in ('running_mean', 'running_var'):
                setattr(part.bn, name, getattr(part.bn, name)[rows].clone())
            part.bn.num_features = half

    def forward(self, x: Tensor) -> Tensor:
        """As C2f."""
        parts = [self.cv0(x), self.cv1(x)]
        for block in self.m:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


def with_split_c2f(model: nn.Module) -> nn.Module:
    """Every C2f replaced."""
    for name, module in list(model.named_modules()):
        if type(module).__name__ == 'C2f':
            parent, _, last = name.rpartition('.')
            setattr(model.get_submodule(parent), last, SplitC2f(module))
    return model


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


def widths(path: Path) -> list[int]:
    """Output channels of every convolution of a file, in order."""
    graph = onnx.load(str(path)).graph
    rows = {item.name: item.dims[0] for item in graph.initializer}
    return [rows.get(node.input[1], 0) for node in graph.node if node.op_type == 'Conv']


def report(
    name: str, kept: dict[str, float], times: dict[str, np.ndarray], wide: dict[str, list[int]]
) -> list[dict[str, Any]]:
    """Print one network's table; its rows as plain values."""
    print(f'\n{name}, {NETWORKS[name][0]} pixels')
    print(f'{"network":>23s} {"kept MACs":>9s} {"p50 ms":>9s} {"/dense":>7s} {"min/min":>7s} '
          f'over promise')
    rows = []
    for title, took in times.items():
        ratio = float(np.median(took / times['dense']))
        least = float(took.min() / times['dense'].min())
        row = {'network': name, 'cut': title, 'kept_macs': kept[title],
               'p50_ms': float(np.median(took)), 'to_dense': ratio, 'min_to_min': least,
               'over_promise': ratio / kept[title] - 1, 'widths': wide[title]}
        rows.append(row)
        print(f'{title:>23s} {row["kept_macs"]:9.3f} {row["p50_ms"]:9.2f} {ratio:7.3f} '
              f'{least:7.3f} {row["over_promise"]:+.0%}', flush=True)
    return rows


if __name__ == '__main__':
    main()
