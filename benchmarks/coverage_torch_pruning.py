# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same network pruned by Torch-Pruning, as its manual says: a row of `coverage.py`."""

from __future__ import annotations

import pickle
import time
from typing import Any

from coverage_measure import floats, macs_of, onnx_check
from zoo import Network

HEADS = (
    'Detect v10Detect Segment Segment26 OBB OBB26 Pose Pose26 Classify WorldDetect RTDETRDecoder '
    'SSDHead SSDLiteHead RetinaNetHead FCOSHead'
)


def run(network: Network, *, onnx: bool) -> dict[str, Any]:
    """Its high-level pruner at ratio 0.5, output layers ignored; reloads with pickle."""
    import torch
    import torch_pruning as tp

    from uav_prune_perception.channels.verify import relative_error

    model, dense, x = network.factory(), network.factory(), network.example
    before = macs_of(dense, x)
    cpu, wall = time.process_time(), time.perf_counter()
    pruner = tp.pruner.BasePruner(
        model,
        x if len(x) > 1 or not isinstance(x[0], torch.Tensor) else x[0],
        importance=tp.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=output_layers(model),
    )
    names = {id(m): n for n, m in model.named_modules()}
    mask = Silencer(dense)
    for group in pruner.step(interactive=True):
        for dep, indices in group:
            mask.silence(names.get(id(dep.target.module)), dep.handler.__name__, indices)
        group.prune()
    row: dict[str, Any] = {
        'seconds': time.process_time() - cpu,
        'wall': time.perf_counter() - wall,
    }
    model.eval()
    with torch.no_grad():
        row['left'] = macs_of(model, x) / before
        reference, pruned = floats(dense(*x)), floats(model(*x))
        # YOLO returns feature maps too, which Torch-Pruning may cut: not held against it.
        pairs = [(a, b) for a, b in zip(reference, pruned, strict=True) if a.shape == b.shape]
        row['error'] = relative_error(*zip(*pairs, strict=True)) if pairs else float('inf')
        again = pickle.loads(pickle.dumps(model))
        row['reload'] = relative_error(pruned, floats(again(*x))) == 0
    if onnx:
        row.update(onnx_check(model, x))
    return row


class Silencer:
    """Zeroes in the dense network what Torch-Pruning says it removes, by original index."""

    def __init__(self, dense: Any) -> None:
        self.modules = dict(dense.named_modules())
        self.alive: dict[tuple[str, int], list[int]] = {}

    def silence(self, name: str | None, handler: str, indices: list[int]) -> None:
        """One removal; index lists refer to the already pruned network."""
        import torch
        from torch import nn

        module = self.modules.get(name or '?')
        weight = getattr(module, 'weight', None)
        if not isinstance(weight, torch.Tensor):
            return
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        out = 'out' in handler
        dim = 0 if weight.dim() == 1 or out != transposed else 1
        depthwise = weight.dim() > 1 and weight.shape[dim] == 1
        if depthwise or (not out and weight.dim() == 1):
            return
        alive = self.alive.setdefault((name or '?', dim), list(range(weight.shape[dim])))
        gone = [alive[i] for i in indices if i < len(alive)]
        self.alive[name or '?', dim] = [i for i in alive if i not in set(gone)]
        with torch.no_grad():
            weight.index_fill_(dim, torch.tensor(gone, dtype=torch.int64), 0)
            bias = getattr(module, 'bias', None)
            if out and isinstance(bias, torch.Tensor):
                bias[gone] = 0


def output_layers(model: Any) -> list[Any]:
    """Layers that a user would tell Torch-Pruning to leave alone."""
    from torch import nn

    last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1:]
    heads = [m for m in model.modules() if type(m).__name__ in HEADS.split()]
    classifiers = [
        m
        for m in model.modules()
        if (isinstance(m, nn.Linear) and m.out_features == 1000)
        or (isinstance(m, nn.Conv2d) and m.out_channels in {21, 91, 1000})
    ]
    return [*last, *heads, *classifiers]
