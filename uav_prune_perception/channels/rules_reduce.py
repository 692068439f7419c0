# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for operators that combine values along a dimension: sums, means, softmax, products.

A sum over channels does not notice a missing zero; a mean, a maximum or a softmax does. So the
first lets channels go, the others freeze them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx import Node
from torch.utils import _pytree as pytree

from .exported import operator_name
from .id_space import FREE, squeeze_constant, varying
from .rules_layers import TRANSPOSING, argument, multiply, spread
from .rules_pointwise import operators
from .walk import Ids, IdWalk, Work, rule, shape_of

REDUCING = 'mean amax amin max min prod var std argmax argmin any all median logsumexp var_mean'
ALONG = 'softmax _softmax log_softmax _log_softmax cumsum cumprod sort topk argsort flip_values'


@rule('aten.sum', 'aten.linalg_vector_norm', 'aten.norm')
def summing(walk: IdWalk, node: Node) -> Ids:
    """A silenced channel adds nothing: channels may go, and the result belongs to none."""
    at = 2 if node.target is not torch.ops.aten.sum.dim_IntList else 1
    ids = walk.ids(node.args[0])
    dims = _dims(argument(node, at, 'dim'), ids.dim())
    order = argument(node, 1, 'ord', 2)
    if at == 2 and (not isinstance(order, (int, float)) or not 0 < order < math.inf):
        return _reduced(walk, node, ids, dims)
    if any(dim in dims for dim in varying(ids)):
        ids = walk.on_one_dim(ids)
    across = [dim for dim in varying(ids) if dim in dims]
    if across and len(varying(ids)) == len(across):
        return torch.zeros((), dtype=torch.int64).expand(shape_of(node))
    return _reduced(walk, node, ids, dims)


@rule(*operators(REDUCING))
def reducing(walk: IdWalk, node: Node) -> Ids:
    """Over positions: channels pass. Over channels: the value would change, so they stay."""
    ids = walk.ids(node.args[0])
    if len(node.args) > 1 and isinstance(node.args[1], Node):  # max(a, b) of two tensors
        raise ValueError('two tensors')
    dims = _dims(argument(node, 1, 'dim'), ids.dim())
    return _reduced(walk, node, ids, dims)


def _dims(given: object, rank: int) -> list[int]:
    if given is None or given == []:
        return list(range(rank))
    if isinstance(given, int):
        return [given % max(rank, 1)]
    if isinstance(given, Sequence):
        return [int(dim) % rank for dim in given]
    return list(range(rank))


def _reduced(walk: IdWalk, node: Node, ids: Tensor, dims: list[int]) -> Ids:
    if any(dim in dims for dim in varying(ids)):
        ids = walk.on_one_dim(ids)
    if any(dim in dims for dim in varying(ids)):
        walk.freeze(ids, node, 'its value depends on how many channels there are')
    for dim in dims:
        ids = ids.narrow(dim, 0, 1)

    def one(value: object) -> Tensor | None:
        if not isinstance(value, Tensor):
            return None
        if value.dim() == ids.dim():
            return ids.expand(value.shape)
        kept = [dim for dim in range(ids.dim()) if dim not in dims]
        return ids.permute(*kept, *dims).reshape(value.shape)

    return pytree.tree_map(one, node.meta['val'])


@rule(*operators(ALONG))
def along(walk: IdWalk, node: Node) -> Ids:
    """Values along one dimension meet (softmax, sort): channels that lie there stay."""
    ids = walk.ids(node.args[0])
    at = 2 if 'topk' in str(node.target) else 1
    dim = argument(node, at, 'dim', -1)
    dim = int(dim) % max(ids.dim(), 1) if isinstance(dim, int) else ids.dim() - 1
    if dim in varying(ids):
        ids = walk.on_one_dim(ids)
    if dim in varying(ids):
        walk.freeze(ids, node, 'values of different channels meet')
    if ids.dim():
        ids = ids.narrow(dim, 0, 1)
    return pytree.tree_map(
        lambda v: ids.expand(v.shape) if isinstance(v, Tensor) else None, node.meta['val']
    )


@rule('aten.matmul', 'aten.mm', 'aten.bmm')
def matmul(walk: IdWalk, node: Node) -> Ids:
    """[..., m, k] x [..., k, n]."""
    a, b = node.args[0], node.args[1]
    is_weight = isinstance(b, Node) and (
        walk.parameter(b) is not None
        or (operator_name(b) in TRANSPOSING and walk.parameter(b.args[0]) is not None)
    )
    if is_weight and len(shape_of(b)) == 2 and len(shape_of(a)) >= 2:
        return multiply(walk, node, b, outputs_dim=1)
    return contract(walk, node, walk.ids(a), walk.ids(b))


@rule('aten.scaled_dot_product_attention')
def attention(walk: IdWalk, node: Node) -> Ids:
    """softmax(q k^T * scale) v: q and k share their width, v's width passes through."""
    query, key, value = (walk.ids(node.args[i]) for i in range(3))
    shape = shape_of(node)
    last = len(shape) - 1
    width = walk.channels(query, last)
    walk.space.unite(width, walk.channels(key, last))
    if node.kwargs.get('scale') is None:
        walk.freeze(query, node, 'its scale follows the head width')
    made = walk.channels(value, last)
    tokens, keys = shape[-2], value.shape[-2]
    batch = math.prod(shape[:-2])
    walk.work.append(Work(node.name, batch * tokens * keys, [width]))
    walk.work.append(Work(node.name, batch * tokens * keys, [made]))
    return spread(made, last, shape)


def contract(walk: IdWalk, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Product of two activations: the summed channels of both sides live and die together."""
    shape = shape_of(node)
    if a.dim() < 2 or b.dim() < 2:
        raise ValueError('a vector')
    rank = max(a.dim(), b.dim())
    a = a.reshape((1,) * (rank - a.dim()) + tuple(a.shape))
    b = b.reshape((1,) * (rank - b.dim()) + tuple(b.shape)).transpose(-1, -2)
    _join_sums(walk, node, a, b)
    factors = [
        _along(x, dim)
        for x, dim in (
            (a, rank - 2),
            (b, rank - 2),
            (a if rank - 1 in varying(a) else b, rank - 1),
        )
    ]
    walk.work.append(Work(node.name, math.prod(shape[:-2]), factors))
    left, right = _own(a), _own(b).transpose(-1, -2)
    if varying(left) and varying(right):
        both = [dim for dim in varying(left) if dim in varying(right)]
        if len(both) == len(varying(left)) == len(varying(right)):
            whole = (*tuple(shape[:-2]), 1, 1)
            walk.space.unite(
                squeeze_constant(left.expand(whole)), squeeze_constant(right.expand(whole))
            )
            return left.expand(shape)
        for ids in (left, right):
            walk.freeze(ids, node, 'channels of both sides meet pairwise')
        return torch.zeros((), dtype=torch.int64).expand(shape)
    return walk.space.canonical((left if varying(left) else right).expand(shape))


def _join_sums(walk: IdWalk, node: Node, a: Tensor, b: Tensor) -> None:
    """Unite along the summed (last) dimension; both tensors are [..., own, summed]."""
    last = a.dim() - 1
    in_a, in_b = last in varying(a), last in varying(b)
    if in_a and in_b and varying(a) == varying(b):
        walk.space.unite(*torch.broadcast_tensors(squeeze_constant(a), squeeze_constant(b)))
    elif in_a and in_b:
        walk.space.unite(walk.channels(a, last), walk.channels(b, last))
    elif in_a or in_b:
        for ids in (a, b):
            walk.freeze(ids, node, 'sums channels against something that is not cut with them')


def _along(ids: Tensor, dim: int) -> Tensor:
    """Ids at each index of ``dim``, int64 [n, k]; a dimension without channels is never cut."""
    size = ids.shape[dim]
    if dim not in varying(ids):
        return torch.full((size,), FREE)
    return squeeze_constant(ids).movedim(dim, 0).flatten(1).expand(size, -1)


def _own(ids: Tensor) -> Tensor:
    """Ids left after the last dimension was summed: FREE where they varied along it."""
    if ids.dim() - 1 in varying(ids):
        return torch.full((1,) * ids.dim(), FREE)
    return ids.narrow(-1, 0, 1)
