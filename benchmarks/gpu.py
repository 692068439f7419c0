# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The reference networks on a GPU with torch: what each cut brings, and each way to run it.

    python benchmarks/gpu.py [--device cuda] [--rounds 100] [--kept 0.5 0.3] [--json OUT.json]

Ways: eager; channels last; fp16; fp16 channels last; compiled (torch.compile); a CUDA graph. Every
round runs each (way, network) once, timed by CUDA events; the table gives p50 and the median over
the rounds of (cut / dense) in the same way, beside the MACs ratio. A way that does not work on the
device is named with its reason and left out. On a CPU, where there are neither events nor graphs,
the same table is made with the wall clock: good for trying the script, not for results.
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
from reference_nets import REFERENCES, Net, reference_nets
from torch import Tensor, nn

Run = Callable[[], Any]
WARM_UP = 10


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--rounds', type=int, default=100)
    parser.add_argument('--kept', type=float, nargs='+', default=[0.5, 0.3])
    parser.add_argument('--round-to', type=int, default=8)
    parser.add_argument('--only', default='', help='networks whose name contains this')
    parser.add_argument('--ways', nargs='+', default=list(WAYS), choices=list(WAYS))
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU here; --device cpu tries the script')
    print(f'{describe(device)}, torch {torch.__version__}, {options.rounds} rounds')
    results = {}
    for name, reference in REFERENCES.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            nets = reference_nets(
                reference, tuple(options.kept), (options.round_to,), Path(folder)
            )
            picture = torch.rand(1, 3, *reference.size, device=device)
            times, faults = measured(nets, picture, options.ways, options.rounds)
        results[name] = report(name, nets, times, faults)
    if options.json:
        options.json.write_text(json.dumps({'device': describe(device), **results}, indent=1))


def describe(device: torch.device) -> str:
    """The device's own name."""
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU, only a trial'


def measured(
    nets: dict[str, Net], picture: Tensor, ways: list[str], rounds: int
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, str]]:
    """Milliseconds by (way, network), and why ways were left out."""
    runs: dict[tuple[str, str], Run] = {}
    faults: dict[str, str] = {}
    for way in ways:
        try:
            made = {
                (way, title): WAYS[way](net.model.to(picture.device), picture)
                for title, net in nets.items()
            }
            for run in made.values():
                for _ in range(WARM_UP):
                    run()
        except Exception as error:  # compilers and drivers raise what they like
            faults[way] = f'{type(error).__name__}: {" ".join(str(error).split())[:120]}'
            continue
        runs |= made
    times = {key: np.empty(rounds) for key in runs}
    for turn in range(rounds):
        for key, run in runs.items():
            times[key][turn] = elapsed_ms(run, picture.device)
    return times, faults


def elapsed_ms(run: Run, device: torch.device) -> float:
    """One run, by CUDA events where there are any."""
    if device.type != 'cuda':
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def eager(model: nn.Module, picture: Tensor) -> Run:
    """As it was trained."""
    return _run(_copy(model), picture)


def channels_last(model: nn.Module, picture: Tensor) -> Run:
    """The layout that tensor cores like."""
    layout = torch.channels_last
    return _run(_copy(model).to(memory_format=layout), picture.to(memory_format=layout))


def half(model: nn.Module, picture: Tensor) -> Run:
    """Weights and activations in fp16."""
    return _run(_copy(model).half(), picture.half())


def half_channels_last(model: nn.Module, picture: Tensor) -> Run:
    """Both."""
    layout = torch.channels_last
    return _run(
        _copy(model).half().to(memory_format=layout), picture.half().to(memory_format=layout)
    )


def compiled(model: nn.Module, picture: Tensor) -> Run:
    """torch.compile, which fuses."""
    return _run(torch.compile(_copy(model)), picture)


def cuda_graph(model: nn.Module, picture: Tensor) -> Run:
    """Recorded once: no launch costs."""
    if picture.device.type != 'cuda':
        raise RuntimeError('only on a GPU')
    network = _copy(model)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side), torch.inference_mode():  # set up outside the capture
        for _ in range(3):
            network(picture)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        network(picture)
    return graph.replay


WAYS: dict[str, Callable[[nn.Module, Tensor], Run]] = {
    'eager': eager, 'channels_last': channels_last, 'fp16': half,
    'fp16_channels_last': half_channels_last, 'compiled': compiled, 'cuda_graph': cuda_graph,
}


def report(
    name: str,
    nets: dict[str, Net],
    times: dict[tuple[str, str], np.ndarray],
    faults: dict[str, str],
) -> list[dict[str, Any]]:
    """Print one network's table; the rows as plain values."""
    print(f'\n{name}')
    for way, fault in faults.items():
        print(f'  {way}: left out: {fault}')
    rows = []
    for (way, title), took in times.items():
        to_dense = float(np.median(took / times[way, 'dense']))
        rows.append({
            'way': way, 'network': title, 'kept_macs': nets[title].kept_macs,
            'p50_ms': float(np.median(took)), 'to_dense': to_dense,
        })
        print(f'  {way:>18s} {title:>12s}  MACs {nets[title].kept_macs:5.3f}  '
              f'{np.median(took):8.3f} ms  of dense {to_dense:5.3f}')
    return rows


def _copy(model: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(model).eval()


def _run(model: Any, picture: Tensor) -> Run:
    def run() -> None:
        with torch.inference_mode():
            model(picture)

    return run


if __name__ == '__main__':
    main()
