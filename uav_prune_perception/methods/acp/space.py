# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The layers whose widths are searched.

[C] ResNets: the first convolution of each block, block outputs untouched; ResNet-50: one width
for conv1 and conv2 of each bottleneck, the larger of the two cluster counts; VGG: every
convolution. Said for any network [R]: every group of channels with one producer, for a residual
stream has several; groups that follow one another inside one module on the way to a stream share
their width. [ours] `ALL` searches the streams too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, Group
from uav_prune_perception.methods.interfaces import Keep, Scores

from .swarm import Widths

Searched = Literal['inner', 'all']
Inheritance = Literal['random_pretrain', 'l1_pretrain', 'score']


@dataclass(frozen=True)
class Layer:
    """One number of the search: the width of one group, or of several that share it."""

    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        """That of its first group."""
        return self.groups[0].name

    @property
    def width(self) -> int:
        """The original width u."""
        return self.groups[0].width


def searched_layers(
    model: nn.Module, graph: ChannelGraph, searched: Searched = 'inner', *, shared: bool = True
) -> list[Layer]:
    """The layers of a network, in its order.

    Args:
        model: the dense network.
        graph: its channels.
        searched: 'inner' leaves groups with several producers whole; 'all' does not.
        shared: the convolutions of a bottleneck have one width, as in the paper's modes.
    """
    streams = _frozen_producers(model, graph) | {
        slot.parameter for g in graph.groups if len(g.producers) > 1 for slot in g.producers
    }
    chosen = [g for g in graph.groups if searched == 'all' or len(g.producers) == 1]
    layers: list[Layer] = []
    for group in chosen:
        before = layers[-1] if layers else None
        if shared and before is not None and _bottleneck(before.groups[-1], group, streams):
            layers[-1] = Layer((*before.groups, group))
        else:
            layers.append(Layer((group,)))
    return layers


def _frozen_producers(model: nn.Module, graph: ChannelGraph) -> set[str]:
    """Weights of convolutions that no group makes: their channels stay, as in a padded stream."""
    made = {slot.parameter for group in graph.groups for slot in group.producers}
    named = {name for name, value in model.named_parameters() if value.dim() > 2}
    return named - made


def _bottleneck(first: Group, second: Group, streams: set[str]) -> bool:
    """``first`` feeds ``second`` feeds a stream, all written in one module."""
    if first.width != second.width or len(first.producers) != 1 or len(second.producers) != 1:
        return False
    makes, then = first.producers[0], second.producers[0]
    after = [slot for slot in second.consumers if slot.parameter in streams]
    home = makes.module.rpartition('.')[0]
    return (
        bool(home)
        and [slot.parameter for slot in first.consumers] == [then.parameter]
        and then.module.rpartition('.')[0] == home
        and any(slot.module.rpartition('.')[0] == home for slot in after)
    )


def inherited(
    layers: Sequence[Layer],
    widths: Widths,
    rule: Inheritance,
    scores: Scores,
    seed: int,
) -> Keep:
    """Which channels a thin network takes over from the dense one.

    [C] 'random_pretrain' (the default there) draws them, 'l1_pretrain' takes those with the
    largest L1 norm; the input channels of the next layer follow. [ours] 'score' takes the best
    by any importance score.

    Args:
        layers: what is searched.
        widths: one for each layer.
        rule: see above.
        scores: for 'l1_pretrain' and 'score': group name -> [width].
        seed: for 'random_pretrain'.

    Returns:
        Masks of the searched groups; other groups stay whole.
    """
    generator = torch.Generator().manual_seed(seed)
    keep: Keep = {}
    for layer, width in zip(layers, widths, strict=True):
        for group in layer.groups:
            if rule == 'random_pretrain':
                order = torch.randperm(group.width, generator=generator)
            else:
                order = torch.argsort(scores[group.name], descending=True, stable=True)
            keep[group.name] = _mask(group.width, order[:width])
    return keep


def _mask(width: int, kept: Tensor) -> Tensor:
    mask = torch.zeros(width, dtype=torch.bool)
    mask[kept] = True
    return mask
