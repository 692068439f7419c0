# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for layers with weights: convolution, linear, normalisation, embedding."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.fx import Node

from .exported import operator_name
from .id_space import varying
from .walk import GroupCount, Ids, IdWalk, Work, rule, shape_of
from .widen import fixed_macs

Sizes = tuple[int, ...]
TRANSPOSING = ('aten.t', 'aten.transpose', 'aten.permute', 'aten.numpy_T')


def argument(node: Node, index: int, name: str, default: Any = None) -> Any:
    """An operator's argument, given by position or by name."""
    if len(node.args) > index:
        return node.args[index]
    return node.kwargs.get(name, default)


def spread(channel_ids: Tensor, dim: int, shape: tuple[int, ...]) -> Tensor:
    """One id per channel [C] as ids of a tensor of ``shape`` with the channels at ``dim``."""
    view = [1] * len(shape)
    view[dim] = channel_ids.numel()
    return channel_ids.reshape(view).expand(shape)


@rule('aten.conv1d', 'aten.conv2d', 'aten.conv3d')
def convolution(walk: IdWalk, node: Node) -> Ids:
    """New channels on the output; the weight's input dimension reads the input's channels."""
    groups = int(argument(node, 6, 'groups', 1))
    return _convolve(walk, node, groups, transposed=False)


@rule('aten.conv_transpose1d', 'aten.conv_transpose2d', 'aten.conv_transpose3d')
def transposed_convolution(walk: IdWalk, node: Node) -> Ids:
    """As convolution, with the weight's first two dimensions swapped."""
    groups = int(argument(node, 6, 'groups', 1))
    return _convolve(walk, node, groups, transposed=True)


@rule('aten.convolution')
def general_convolution(walk: IdWalk, node: Node) -> Ids:
    """The form that other operators decompose to."""
    return _convolve(walk, node, int(node.args[8]), transposed=bool(node.args[6]))  # type: ignore[arg-type]


def _convolve(walk: IdWalk, node: Node, groups: int, *, transposed: bool) -> Ids:
    x, weight = node.args[0], node.args[1]
    bias = argument(node, 2, 'bias')
    shape, kernel = shape_of(node), shape_of(weight)
    channel_dim = len(shape) - (len(kernel) - 1)
    places = varying(walk.ids(x))
    if places and channel_dim not in places and max(places) > channel_dim:  # ECA
        walk.freeze(walk.ids(x), node, 'slides over channels')
        walk.work.append(Work(node.name, fixed_macs(node), []))
        same = shape == shape_of(x)
        return walk.ids(x) if same else walk.opaque(node, shape, 'slides over channels')
    read = walk.channels(walk.ids(x), channel_dim)
    name = walk.parameter(weight)
    if name is None:
        for ids in (read, walk.ids(weight)):
            walk.freeze(ids, node, 'its weight is computed, not a parameter')
        return walk.opaque(node, shape, 'its weight is computed, not a parameter')
    whole_groups = groups > 1 and (min(kernel[:2]) == 1 or groups > read.numel() // groups)
    tie = _tie_whole_groups if whole_groups else _tie_group_offsets
    made = tie(walk, name, read, groups=groups, kernel=kernel, transposed=transposed)
    if bias is not None:
        walk.attach(bias, made)
    positions = shape_of(x) if transposed else shape
    constant = math.prod(positions) / positions[channel_dim] * math.prod(kernel[2:])
    if whole_groups:
        only = read if transposed else made
        walk.work.append(Work(node.name, constant * kernel[1], [only], name))
    else:
        walk.work.append(Work(node.name, constant / groups, [read, made], name))
    return spread(made, channel_dim, shape)


def _tie_whole_groups(
    walk: IdWalk, name: str, read: Tensor, *, groups: int, kernel: Sizes, transposed: bool
) -> Tensor:
    """Groups die whole (depthwise: a group is one channel); ``groups`` shrinks with them."""
    first = walk.slot(name, 0, kernel[0], 'norm' if read.numel() == groups else 'producer')
    blocks = first.reshape(groups, -1)
    walk.space.unite(blocks[:, :-1], blocks[:, 1:])
    entering = read.reshape(groups, -1)
    walk.space.unite(entering[:, :-1], entering[:, 1:])
    walk.space.unite(entering[:, 0], blocks[:, 0])
    walk.counts.append(GroupCount(name, 'groups', read, read.numel() // groups))
    if transposed:
        return blocks[:, :1].expand(groups, kernel[1]).reshape(-1)
    return first


def _tie_group_offsets(
    walk: IdWalk, name: str, read: Tensor, *, groups: int, kernel: Sizes, transposed: bool
) -> Tensor:
    """Each group loses the same offsets; ``groups`` stays. With one group: nothing to tie."""
    blocks = read.reshape(groups, -1)
    if transposed:
        consumed = walk.slot(name, 0, kernel[0], 'consumer').reshape(groups, -1)
        walk.space.unite(blocks, consumed)
        made = walk.slot(name, 1, kernel[1], 'producer').expand(groups, -1).reshape(-1)
    else:
        consumed = walk.slot(name, 1, kernel[1], 'consumer').expand(groups, -1)
        walk.space.unite(blocks, consumed)
        made = walk.slot(name, 0, kernel[0], 'producer')
        lanes = made.reshape(groups, -1)
        walk.space.unite(lanes[:-1], lanes[1:])
    walk.space.unite(blocks[:-1], blocks[1:])
    return made


@rule('aten.linear')
def linear(walk: IdWalk, node: Node) -> Ids:
    """Reads the last dimension, makes new channels there."""
    return multiply(walk, node, node.args[1], outputs_dim=0, bias=argument(node, 2, 'bias'))


@rule('aten.addmm')
def linear_with_bias(walk: IdWalk, node: Node) -> Ids:
    """Bias + x @ weight."""
    bias, x, weight = node.args
    return multiply(walk, node, weight, outputs_dim=1, bias=bias, x=x)


def multiply(
    walk: IdWalk,
    node: Node,
    weight: Any,
    *,
    outputs_dim: int,
    bias: Any = None,
    x: Any = None,
) -> Ids:
    """A matrix of parameters times the last dimension of ``x`` (default: the first argument)."""
    shape, ids = shape_of(node), walk.ids(node.args[0] if x is None else x)
    sizes = shape_of(weight)
    while isinstance(weight, Node) and operator_name(weight) in TRANSPOSING and len(sizes) == 2:
        weight, outputs_dim = weight.args[0], 1 - outputs_dim  # weight tying: linear(x, w.t())
        sizes = shape_of(weight)
    name = walk.parameter(weight)
    if name is None or len(sizes) != 2:
        for each in (ids, walk.ids(weight)):
            walk.freeze(each, node, 'its weight is computed, not a parameter')
        return walk.opaque(node, shape, 'its weight is computed, not a parameter')
    read = walk.channels(ids, ids.dim() - 1)
    walk.space.unite(read, walk.slot(name, 1 - outputs_dim, read.numel(), 'consumer'))
    made = walk.slot(name, outputs_dim, sizes[outputs_dim], 'producer')
    if bias is not None:
        walk.attach(bias, made)
    walk.work.append(Work(node.name, math.prod(shape[:-1]), [read, made]))
    return spread(made, len(shape) - 1, shape)


@rule(
    'aten._native_batch_norm_legit_no_training',
    'aten._native_batch_norm_legit',
    'aten._native_batch_norm_legit_functional',
    'aten.batch_norm',
    'aten.instance_norm',
)
def batch_norm(walk: IdWalk, node: Node) -> Ids:
    """One scale and shift for each channel: parameters accompany their channel."""
    ids = walk.ids(node.args[0])
    channels = walk.channels(ids, 1)
    for parameter in node.args[1:5]:
        if isinstance(parameter, Node):
            walk.attach(parameter, channels)
    out = spread(channels, 1, tuple(ids.shape))
    return (out, None, None) if isinstance(node.meta['val'], (tuple, list)) else out


@rule('aten.group_norm')
def group_norm(walk: IdWalk, node: Node) -> Ids:
    """Statistics over a group of channels: whole groups may die, single channels may not."""
    ids = walk.ids(node.args[0])
    channels = walk.channels(ids, 1)
    groups = int(node.args[1])  # type: ignore[arg-type]
    for parameter in (argument(node, 2, 'weight'), argument(node, 3, 'bias')):
        if parameter is not None:
            walk.attach(parameter, channels)
    name = walk.parameter(argument(node, 2, 'weight'))
    if groups == 1 or name is None:
        walk.freeze(channels, node, 'its statistics mix all channels')
    else:
        blocks = channels.reshape(groups, -1)
        walk.space.unite(blocks[:, :-1], blocks[:, 1:])
        walk.counts.append(GroupCount(name, 'num_groups', channels, blocks.shape[1]))
    return spread(channels, 1, tuple(ids.shape))


@rule('aten.layer_norm', 'aten.rms_norm')
def layer_norm(walk: IdWalk, node: Node) -> Ids:
    """Statistics over the last dimensions: channels that lie there stay."""
    ids = walk.ids(node.args[0])
    over = len(node.args[1])  # type: ignore[arg-type]
    if any(dim >= ids.dim() - over for dim in varying(ids)):
        ids = walk.on_one_dim(ids)
    mixed = [dim for dim in varying(ids) if dim >= ids.dim() - over]
    if mixed:
        walk.freeze(ids, node, 'its statistics mix all channels')
    for parameter in (argument(node, 2, 'weight'), argument(node, 3, 'bias')):
        if parameter is not None and over == 1:
            walk.attach(parameter, walk.channels(ids, ids.dim() - 1))
        elif parameter is not None:
            walk.freeze(ids, node, 'its parameters span several dimensions')
    return ids


@rule('aten.embedding')
def embedding(walk: IdWalk, node: Node) -> Ids:
    """A table whose columns are new channels."""
    name = walk.parameter(node.args[0])
    shape = shape_of(node)
    if name is None:
        return walk.opaque(node, shape, 'its table is computed')
    return spread(walk.slot(name, 1, shape[-1], 'producer'), len(shape) - 1, shape)


@rule('aten.prelu')
def prelu(walk: IdWalk, node: Node) -> Ids:
    """One slope for all channels, or one for each."""
    ids = walk.ids(node.args[0])
    if shape_of(node.args[1])[0] > 1:
        channels = walk.channels(ids, 1)
        walk.attach(node.args[1], channels)
        return spread(channels, 1, tuple(ids.shape))
    return ids
