# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A network with some channels silenced: what a cut would do, without cutting."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from uav_prune_perception.channels.exported import named_tensors
from uav_prune_perception.methods.feature_maps import find_norms

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph, Group

Silent = Mapping[str, Mapping[str, Tensor]]


class Candidates:
    """Silences channels of a private copy, again and again, each time from the whole network.

    Entries of BatchNorm scales and shifts (or, without BatchNorm, of filters and biases) become
    zero, as the cut would have it: what the channel still emitted goes with it.

    Args:
        model: the network, which stays as it is.
        graph: its channel graph.
        device: where the copy computes.
    """

    def __init__(self, model: nn.Module, graph: ChannelGraph, device: str = 'cpu') -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        self._groups = {group.name: group for group in graph.groups}
        tensors, norms = named_tensors(self.model), find_norms(graph)
        self._tensors = {name: tensors[name] for name in _touched(graph, norms)}
        self._whole = {name: value.detach().clone() for name, value in self._tensors.items()}
        self._norms = norms

    @torch.no_grad()
    def silence(self, gone: Silent) -> None:
        """Silence channels.

        Args:
            gone: group -> {producer's module: bool [width]}, '' for all its producers together.
                Everything else is whole.
        """
        for name, value in self._tensors.items():
            value.copy_(self._whole[name])
        for name, chosen in gone.items():
            group = self._groups[name]
            for slot in group.producers:
                mask = chosen.get(slot.module, chosen.get(''))
                if mask is None:
                    continue
                rows = group.members[slot][mask].flatten()
                for parameter in self._norms.get(slot.parameter, ()):
                    self._tensors[parameter][rows] = 0
                if slot.parameter not in self._norms:
                    self._zero_filters(group, slot.parameter, slot.dim, rows)

    def _zero_filters(self, group: Group, weight: str, dim: int, rows: Tensor) -> None:
        self._tensors[weight].index_fill_(dim, rows.to(self._tensors[weight].device), 0)
        bias = f'{weight.rpartition(".")[0]}.bias'
        if bias in self._tensors:
            self._tensors[bias][rows] = 0


def _touched(graph: ChannelGraph, norms: Mapping[str, tuple[str, ...]]) -> set[str]:
    names: set[str] = set()
    known = named_tensors(graph.exported.model)
    for group in graph.groups:
        for slot in group.producers:
            if slot.parameter in norms:
                names.update(norms[slot.parameter])
                continue
            names.add(slot.parameter)
            bias = f'{slot.module}.bias'
            if bias in known:
                names.add(bias)
    return names
