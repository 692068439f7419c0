# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for operators that mix positions but never channels: pooling, resizing, sampling."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.fx import Node
from torch.utils import _pytree as pytree

from .id_space import squeeze_constant
from .rules_layers import spread
from .rules_pointwise import operators
from .walk import Ids, IdWalk, rule

ONE_D = 'avg_pool1d max_pool1d adaptive_avg_pool1d adaptive_max_pool1d upsample_nearest1d \
upsample_linear1d _upsample_nearest_exact1d max_pool1d_with_indices'
TWO_D = 'avg_pool2d max_pool2d adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d \
upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa \
max_pool2d_with_indices _adaptive_avg_pool2d grid_sampler grid_sampler_2d im2col_positions \
_upsample_bicubic2d_aa affine_grid_generator'
THREE_D = 'avg_pool3d max_pool3d adaptive_avg_pool3d adaptive_max_pool3d upsample_nearest3d \
upsample_trilinear3d _adaptive_avg_pool3d max_pool3d_with_indices grid_sampler_3d'


@rule(*operators(ONE_D))
def over_a_line(walk: IdWalk, node: Node) -> Ids:
    """[..., C, L] -> [..., C, L']."""
    return _positions_mixed(walk, node, 1)


@rule(*operators(TWO_D))
def over_a_picture(walk: IdWalk, node: Node) -> Ids:
    """[..., C, H, W] -> [..., C, H', W']."""
    return _positions_mixed(walk, node, 2)


@rule(*operators(THREE_D))
def over_a_volume(walk: IdWalk, node: Node) -> Ids:
    """[..., C, D, H, W] -> [..., C, D', H', W']."""
    return _positions_mixed(walk, node, 3)


def _positions_mixed(walk: IdWalk, node: Node, spatial: int) -> Ids:
    for other in node.all_input_nodes[1:]:  # a sampling grid
        walk.freeze(walk.ids(other), node, 'positions are computed from it')
    ids = walk.ids(node.args[0])
    dim = ids.dim() - spatial - 1
    channels = walk.channels(ids, dim)

    def one(value: object) -> Tensor | None:
        if not isinstance(value, Tensor):
            return None
        return spread(channels, dim, tuple(value.shape))

    return pytree.tree_map(one, node.meta['val'])


@rule(
    'aten.pad',
    'aten.constant_pad_nd',
    'aten.reflection_pad2d',
    'aten.replication_pad2d',
    'aten.reflection_pad1d',
    'aten.replication_pad1d',
)
def pad(walk: IdWalk, node: Node) -> Ids:
    """Padding positions keeps ids; padding channels adds channels of a literal number: frozen."""
    ids = walk.ids(node.args[0])
    given: Any = node.args[1]
    amounts = [int(n) for n in given]
    for pair in range(len(amounts) // 2):
        before, after = amounts[2 * pair], amounts[2 * pair + 1]
        dim = ids.dim() - 1 - pair
        ids = _pad_one(walk, node, ids, dim, (before, after))
    return ids


def _pad_one(walk: IdWalk, node: Node, ids: Tensor, dim: int, amount: tuple[int, int]) -> Tensor:
    before, after = amount
    shape = list(ids.shape)
    shape[dim] += before + after
    if before == after == 0:
        return ids
    if ids.stride(dim) == 0 or ids.shape[dim] == 1:
        return ids.narrow(dim, 0, 1).expand(shape)
    if before < 0 or after < 0:
        walk.freeze(ids, node, 'crops channels')
    small = squeeze_constant(ids)
    out = walk.opaque(node, (1,), 'pads channels').reshape([1] * len(shape))
    room = list(small.shape)
    room[dim] = shape[dim]
    out = out.expand(room).clone()
    kept = small.narrow(dim, max(0, -before), small.shape[dim] + min(0, before) + min(0, after))
    out.narrow(dim, max(0, before), kept.shape[dim]).copy_(kept)
    return out.expand(shape)
