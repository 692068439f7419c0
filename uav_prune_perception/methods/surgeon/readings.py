# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What each layer reads from a group of channels: second moments over data, and its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, Group, Slot
from uav_prune_perception.methods.feature_maps import show_pictures


@dataclass
class Reading:
    """How one layer (convolution or linear) reads one group, as a linear map.

    Attributes:
        slot: the layer's weight and the dimension in which it reads.
        weight: float64 [rows, channels]: rows are outputs x kernel taps.
        moments: float64 [channels, channels]: mean over pictures and pixels of x x^T, what the
            layer sees of these channels.
        choice: int64 [channels]: to which choice of the group each channel belongs.
    """

    slot: Slot
    weight: Tensor
    moments: Tensor
    choice: Tensor

    @property
    def energy(self) -> float:
        """Mean square of what the layer makes of these channels, summed over its outputs."""
        return float(((self.weight @ self.moments) * self.weight).sum())


def collect_readings(
    model: nn.Module, graph: ChannelGraph, batches: Iterable[Tensor]
) -> dict[str, list[Reading]]:
    """Run ``batches`` through the network and note what the readers of every group see.

    Args:
        model: the network of which ``graph`` was traced; runs in evaluation mode.
        graph: its channels.
        batches: normalised pictures, float32 [B, C, H, W].

    Returns:
        Group name -> its readings. Layers that are no plain convolution or linear layer
        (grouped, transposed) have none: for them no sum over channels exists to mend.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    readers = _readers(graph, modules)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    handles = [
        modules[path].register_forward_pre_hook(_summing(path, sums, counts)) for path in readers
    ]
    show_pictures(model, batches, handles)
    found: dict[str, list[Reading]] = {group.name: [] for group in graph.groups}
    for path, slots in readers.items():
        if counts.get(path, 0) == 0:
            continue
        moments = sums[path] / counts[path]
        for group, slot in slots:
            found[group.name].append(_reading(group, slot, modules[path], moments))
    return found


def _readers(
    graph: ChannelGraph, modules: Mapping[str, nn.Module]
) -> dict[str, list[tuple[Group, Slot]]]:
    readers: dict[str, list[tuple[Group, Slot]]] = {}
    for group in graph.groups:
        for slot in group.consumers:
            layer = modules.get(slot.module)
            plain = isinstance(layer, nn.Linear) or (
                isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.groups == 1
            )
            if plain and slot.dim == 1 and slot.parameter.endswith('weight'):
                readers.setdefault(slot.module, []).append((group, slot))
    return readers


def places(reader: nn.Module, x: Tensor) -> Tensor:
    """What a layer reads, [places, channels]: linear layers have their channels last."""
    last = x.detach() if isinstance(reader, nn.Linear) else x.detach().movedim(1, -1)
    return last.reshape(-1, last.shape[-1])


def _summing(path: str, sums: dict[str, Tensor], counts: dict[str, int]) -> Any:
    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        flat = places(module, inputs[0])
        moments = (flat.T @ flat).to('cpu', torch.float64)
        sums[path] = sums[path] + moments if path in sums else moments
        counts[path] = counts.get(path, 0) + flat.shape[0]

    return see


def _reading(group: Group, slot: Slot, layer: nn.Module, moments: Tensor) -> Reading:
    members = group.members[slot]
    index = members.flatten()
    choice = torch.arange(group.width).repeat_interleave(members.shape[1])
    own = layer.weight
    assert isinstance(own, Tensor)
    weight = own.detach().to('cpu', torch.float64)
    rows = weight.movedim(1, -1).reshape(-1, weight.shape[1])[:, index]
    return Reading(slot, rows, moments[index][:, index], choice)
