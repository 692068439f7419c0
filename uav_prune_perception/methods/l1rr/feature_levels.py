# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The feature levels of any network: the last feature map of each resolution before the outputs.

For a detector with a pyramid these are what its heads read or make of it (P3, P4, P5); for a
ResNet the ends of its stages. Where heads are apart for box and class, both branches are levels:
channels that no level sees would cost nothing. No network has to name them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from uav_prune_perception.methods.interfaces import MethodError

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph

LEVELS = 3


def find_levels(
    model: nn.Module, graph: ChannelGraph, example: Tensor, count: int = LEVELS
) -> list[str]:
    """Paths of the modules that put out the ``count`` coarsest levels, finest first.

    Args:
        model: the network, in evaluation mode.
        graph: its channel graph; modules that make outputs (whose channels can never go) are no
            feature levels, nor are the modules around them.
        example: one picture.
        count: how many resolutions; maps from which outputs are made come on top.

    Raises:
        MethodError: the network makes no feature maps.
    """
    outputs = [frozen.name for frozen in graph.frozen if 'output' in frozen.reason]
    whole = {frozen.name for frozen in graph.frozen}
    cells = _last_maps(model, outputs, example, count)
    # A raw output that is sliced is frozen for another reason; what it is made from is the level
    while raw := [path for path in cells if path in whole and path not in outputs]:
        outputs += raw
        cells = _last_maps(model, outputs, example, count)
    if not cells:
        raise MethodError(f'{type(model).__name__} makes no feature maps to compare')
    return sorted(cells, key=lambda path: -cells[path])


def _last_maps(
    model: nn.Module, outputs: Sequence[str], example: Tensor, count: int
) -> dict[str, int]:
    """Cells of the last map of each resolution and of what outputs are made from, by module."""
    last: dict[tuple[int, int], str] = {}
    made: dict[int, tuple[str, int]] = {}  # by the tensor's id: module, cells
    kept: list[Tensor] = []  # an id is unique only while its tensor lives
    read: dict[str, int] = {}
    ends = _around(outputs)

    def note(path: str) -> Any:
        def seen(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2:].numel() > 1:
                last[int(output.shape[2]), int(output.shape[3])] = path
                made[id(output)] = path, output.shape[2:].numel()
                kept.append(output)

        return seen

    def note_input(module: nn.Module, inputs: Any) -> None:
        if inputs and id(inputs[0]) in made:
            path, cells = made[id(inputs[0])]
            read[path] = cells

    handles = [
        module.register_forward_hook(note(path))
        for path, module in model.named_modules() if path and path not in ends
    ]
    handles += [
        module.register_forward_pre_hook(note_input)
        for path, module in model.named_modules() if path in outputs
    ]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    sizes = sorted(last, key=lambda size: size[0] * size[1])[:count]
    return {last[size]: size[0] * size[1] for size in sizes} | read


def _around(paths: Sequence[str]) -> set[str]:
    """The paths and every module that holds one of them."""
    found: set[str] = set()
    for path in paths:
        parts = path.split('.')
        found.update('.'.join(parts[:end]) for end in range(1, len(parts) + 1))
    return found


@contextlib.contextmanager
def caught(model: nn.Module, levels: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While inside, the last output of each level after every forward, by path."""
    modules = dict(model.named_modules())
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def seen(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[path] = output

        return seen

    handles = [modules[path].register_forward_hook(keep(path)) for path in levels]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
