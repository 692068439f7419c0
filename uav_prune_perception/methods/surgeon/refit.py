# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Layer after layer, a compact network learns by least squares to read what is left.

For every convolution and linear layer, in the order in which they run, the inputs X that the dense
layer sees are predicted from the inputs X' that the compact one sees, those made by the layers
refitted before it: M = argmin |X - X' M|^2. The prediction is folded into the weights, W' = W M.
Thus a layer takes over from lost channels, and corrects what the cuts before it have changed in
those that stayed, branches of a residual sum that keep channels of their own included. What
BatchNorm normalises by is renewed on the way: later layers are fitted to what they will see.

Source: channel pruning by sequential reconstruction (He, Zhang, Sun, ICCV 2017), with one
prediction for all kernel taps, which padding with zeros leaves exact. No labels, two forward
passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import PruningPlan
from uav_prune_perception.methods.feature_maps import show_pictures
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import LearningTask

from .readings import places

PLACES = 16384  # of a layer's input that are looked at
PIXELS = 2**23  # of all pictures together, which bounds the memory
PICTURES = 1024
ENOUGH = 2  # places for each channel that is read
DAMPING = 1e-3  # of the mean of the moments' diagonal


def refit(small: nn.Module, dense: nn.Module, plan: PruningPlan, images: Tensor) -> int:
    """Give the layers of ``small`` new weights, in place.

    Args:
        small: ``compact(dense, plan)``.
        dense: the network that was cut; stays as it is.
        plan: what was cut.
        images: normalised pictures, float32 [B, C, H, W], such as `refit_pictures`.

    Returns:
        Number of layers with new weights. Grouped and transposed convolutions, layers that run
        more than once, and layers that see too few places stay as they are.
    """
    whole = dict(dense.named_modules(remove_duplicate=False))
    readers = {
        path: (layer, whole[path]) for name, layer in small.named_modules()
        if _plain(layer) and (path := _dense_path(name, whole)) is not None
    }
    kept = {(cut.parameter, cut.dim): torch.tensor(cut.kept) for cut in plan.cuts}
    seen: dict[str, list[Tensor]] = {path: [] for path in readers}
    handles = [
        layer.register_forward_pre_hook(_noting(seen[path]))
        for path, (_, layer) in readers.items()
    ]
    show_pictures(dense, [images], handles)
    done: list[str] = []

    def mending(path: str) -> Any:
        def mend(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            wanted = seen.pop(path, [])
            if len(wanted) == 1:
                sides = kept.get((f'{path}.weight', 0)), kept.get((f'{path}.weight', 1))
                found = _samples(module, inputs[0])
                if _mend(module, readers[path][1], (found, wanted[0]), sides):
                    done.append(path)

        return mend

    handles = [
        layer.register_forward_pre_hook(mending(path)) for path, (layer, _) in readers.items()
    ]
    try:
        recalibrate_batchnorm(small, [images])  # each before the layers behind it are fitted
    finally:
        for handle in handles:
            handle.remove()
    return len(done)


def refit_pictures(task: LearningTask) -> Tensor:
    """Pictures of the train split for `refit`, float32 [B, C, H, W]: more of small ones."""
    height, width = task.example_input().shape[2:]
    count = max(8, min(PICTURES, PIXELS // (height * width)))
    return next(iter(task.calibration_batches(1, min(count, task.steps_per_epoch(1)))))


def _mend(
    layer: nn.Module, dense: nn.Module, inputs: tuple[Tensor, Tensor],
    kept: tuple[Tensor | None, Tensor | None],
) -> bool:
    """W' = W M, where the ridge pulls M to what the cut alone would do; whether it could."""
    found, wanted = (x.to('cpu', torch.float64) for x in inputs)
    rows, columns = kept
    weight = dense.weight.detach().to('cpu', torch.float64)  # type: ignore[operator]
    weight = weight if rows is None else weight[rows]
    columns = torch.arange(weight.shape[1]) if columns is None else columns
    if found.shape[1] != len(columns):
        return False  # read at another width than it was cut to
    if len(found) < ENOUGH * found.shape[1]:
        return False  # what so few places would teach is noise, and can be without bounds
    cut = torch.zeros(found.shape[1], weight.shape[1], dtype=torch.float64)
    cut[torch.arange(len(columns)), columns] = 1.0
    moments = found.T @ found
    ridge = DAMPING * moments.diagonal().mean() + 1e-30
    moments.diagonal().add_(ridge)
    prediction = cut + torch.linalg.solve(moments, found.T @ (wanted - found @ cut))
    fitted = torch.tensordot(weight, prediction, dims=([1], [1]))  # [rows, taps..., columns]
    own = layer.weight
    assert isinstance(own, Tensor)
    with torch.no_grad():
        own.copy_(fitted.movedim(-1, 1).to(own))
    return True


def _noting(samples: list[Tensor]) -> Any:
    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        samples.append(_samples(module, inputs[0]))

    return note


def _samples(reader: nn.Module, x: Tensor) -> Tensor:
    """Float32 [places, channels], the same places of every tensor of the same size."""
    flat = places(reader, x)
    if len(flat) <= PLACES:
        return flat.cpu()
    generator = torch.Generator().manual_seed(len(flat))
    return flat[torch.randint(len(flat), (PLACES,), generator=generator).to(flat.device)].cpu()


def _plain(layer: nn.Module) -> bool:
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return layer.groups == 1
    return isinstance(layer, nn.Linear)


def _dense_path(name: str, whole: Mapping[str, nn.Module]) -> str | None:
    """Of a module of the compact network, which may lie in a `channels.widen.Wrapper`."""
    if name in whole:
        return name
    bare = '.'.join(part for part in name.split('.') if part != 'inner')
    return bare if bare in whole else None
