# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What docs/scale.md counts with: processor time of what a GPU does not do, and sizes.

    python benchmarks/cluster.py

Processor time, not time on the wall, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.datasets.imagenet import LazyPictures
from uav_prune_perception.methods.adasp.masks import AdaptiveMasks
from uav_prune_perception.methods.adasp.options import AdaSPOptions
from uav_prune_perception.methods.allocation import group_bounds
from uav_prune_perception.methods.interfaces import Budget, LevelContext
from uav_prune_perception.methods.l1rr.sparsity import SparsityHook, SparsityOptions
from uav_prune_perception.networks.registry import build_network


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--network', default='imagenet_resnet50')
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = build_network(options.network, classes=1000)
    graph = ChannelGraph.trace(model.eval(), torch.zeros(1, 3, 224, 224))
    found = {
        'decode_ms_per_picture': decode_ms(),
        'adasp_ms_per_step': hook_ms(model, masks(model, graph)),
        'l1rr_ms_per_step': hook_ms(model, SparsityHook(model, SparsityOptions())),
        'gmacs': graph.cost().macs / 1e9,
        'gradient_mb': sum(p.numel() for p in model.parameters()) * 4 / 1e6,
        'checkpoint_mb': checkpoint_mb(model),
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f'{name:24} {value:10.2f}')


def cpu_ms(work: Callable[[], object], times: int) -> float:
    """Median processor time of one call."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append((time.process_time() - start) * 1e3)
    return float(np.median(taken))


def decode_ms() -> float:
    """A JPEG of ImageNet's usual size, to a crop of 224."""
    ground = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(ground).resize((500, 375), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 12, (375, 500, 3))
    content = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'picture.jpg'
        Image.fromarray(content).save(path, quality=90)
        pictures = LazyPictures([path], 224, 256)
        return cpu_ms(lambda: pictures[0], 60)


def masks(model: nn.Module, graph: ChannelGraph) -> AdaptiveMasks:
    """AdaSP's hook for half of the MACs."""
    cost = graph.cost()
    budget = Budget('macs', cost.macs / 2, cost.macs, lambda keep: graph.cost(keep).macs)
    bounds = {
        group.name: group_bounds(
            group.width, group.tied, group.width, min_channels=8, max_cut=0.7
        )
        for group in graph.groups
    }
    context = LevelContext(
        model=model, graph=graph, task=None, bounds=bounds, budget=budget, level='50', seed=0,  # type: ignore[arg-type]
        reporter=None, dense=None, dense_cost=cost,  # type: ignore[arg-type]
    )
    return AdaptiveMasks(context, AdaSPOptions())


def hook_ms(model: nn.Module, hook: AdaptiveMasks | SparsityHook) -> float:
    """What a method adds to one step."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    done = iter(np.linspace(0.01, 0.6, 100))

    def step() -> None:
        hook.before_clip(model)
        hook.after_backward(model)
        hook.after_step(model, float(next(done)))

    return cpu_ms(step, 12)


def checkpoint_mb(model: nn.Module) -> float:
    """Weights, momentum, and the best weights so far."""
    state = model.state_dict()
    momentum = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    file = io.BytesIO()
    best = {name: value.clone() for name, value in state.items()}
    torch.save({'model': state, 'optimizer': momentum, 'best': best}, file)
    return len(file.getvalue()) / 1e6


if __name__ == '__main__':
    main()
