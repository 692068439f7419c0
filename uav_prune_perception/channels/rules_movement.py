# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for data movement: the operator itself runs on the ids.

YOLO's chunk and concat, ShuffleNet's shuffle and a flatten before a linear layer need no rule of
their own: whatever happens to the values happens to the ids.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from .id_space import compress, squeeze_constant, varying
from .rules_layers import argument
from .rules_pointwise import meet, operators
from .walk import Ids, IdWalk, rule, shape_of

RESHAPING = 'view _unsafe_view reshape flatten unflatten squeeze unsqueeze _reshape_copy \
view_copy reshape_as view_as'
MOVING = 'permute transpose t movedim flip roll swapaxes numpy_T rot90 tile repeat \
pixel_unshuffle channel_shuffle unfold diagonal tril triu repeat_interleave adjoint mT'


@rule('getitem')
def item(walk: IdWalk, node: Node) -> Ids:
    """One of an operator's several outputs."""
    source, index = node.args
    assert isinstance(source, Node)
    values = walk.values[source]
    return values[index] if isinstance(values, (tuple, list)) else None  # type: ignore[index]


@rule(*operators(RESHAPING))
def reshaping(walk: IdWalk, node: Node) -> Ids:
    """Same elements in the same order, another shape."""
    ids = walk.ids(node.args[0])
    out = compress(ids.reshape(shape_of(node)))
    if len(node.args) > 1:
        for dim in varying(out):
            walk.counts_channels(node, out, dim)
    return out


@rule(*operators(MOVING))
def moving(walk: IdWalk, node: Node) -> Ids:
    """Elements change places."""
    first, *rest = node.args
    ids = walk.ids(first)
    if any(isinstance(argument, Node) for argument in rest):
        raise ValueError('a computed argument')
    return compress(node.target(ids, *rest, **node.kwargs))  # type: ignore[operator]


@rule('aten.pixel_shuffle')
def pixel_shuffle(walk: IdWalk, node: Node) -> Ids:
    """R * r neighbouring channels become one channel: they live and die together."""
    ids = walk.ids(node.args[0])
    factor = int(node.args[1])  # type: ignore[arg-type]
    channels = walk.channels(ids, ids.dim() - 3)
    blocks = channels.reshape(-1, factor * factor)
    walk.space.unite(blocks[:, :-1], blocks[:, 1:])
    return blocks[:, 0].reshape(-1, 1, 1).expand(shape_of(node))


@rule('aten.expand', 'aten.expand_as', 'aten.broadcast_to')
def expanding(walk: IdWalk, node: Node) -> Ids:
    """Size 1 becomes many: all carry the same id."""
    return walk.ids(node.args[0]).expand(shape_of(node))


@rule('aten.cat', 'aten.concat')
def concatenation(walk: IdWalk, node: Node) -> Ids:
    """Side by side along one dimension; along the others, tensors keep the same channels."""
    tensors: Any = node.args[0]
    dim = int(argument(node, 1, 'dim', 0)) % len(shape_of(node))
    parts = [walk.ids(t) for t in tensors if shape_of(t) != (0,)]
    return _joined(parts, dim)


@rule('aten.stack')
def stacking(walk: IdWalk, node: Node) -> Ids:
    """Side by side along a new dimension."""
    tensors: Any = node.args[0]
    dim = int(argument(node, 1, 'dim', 0)) % len(shape_of(node))
    return _joined([walk.ids(t).unsqueeze(dim) for t in tensors], dim)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    """Concatenate ids without filling in dimensions that are constant in every part."""
    whole = list(parts[0].shape)
    whole[dim] = sum(part.shape[dim] for part in parts)
    for d in range(len(whole)):
        if d != dim and all(part.stride(d) == 0 or part.shape[d] == 1 for part in parts):
            parts = [part.narrow(d, 0, 1) for part in parts]
    return compress(torch.cat(parts, dim).expand(whole))


@rule('aten.split', 'aten.split_with_sizes', 'aten.chunk', 'aten.tensor_split')
def splitting(walk: IdWalk, node: Node) -> Ids:
    """Blocks along one dimension: the cut moves when channels go.

    Equal blocks lose equal offsets, so that ``chunk`` cuts at the right place. Sizes that are
    written as numbers must be edited (see `literals`); if they cannot be, a trial tells.
    """
    ids = walk.ids(node.args[0])
    dim = int(argument(node, 2, 'dim', 0)) % ids.dim()
    sizes = [int(value.shape[dim]) for value in node.meta['val']]
    if dim in varying(ids) and len(sizes) > 1:
        walk.counts_channels(node, ids, dim)
        if len(set(sizes)) == 1:
            _tie_blocks(walk, ids, dim, sizes[0])
        ids = walk.space.canonical(ids)
    parts = tuple(compress(part) for part in ids.split(sizes, dim))
    for part in parts:
        if dim in varying(part):
            walk.counts_channels(node, part, dim)
    return parts


def _tie_blocks(walk: IdWalk, ids: Tensor, dim: int, size: int) -> None:
    lanes = squeeze_constant(ids).unflatten(dim, (-1, size))
    count = lanes.shape[dim]
    walk.space.unite(lanes.narrow(dim, 0, count - 1), lanes.narrow(dim, 1, count - 1))


@rule('aten.slice', 'aten.narrow')
def slicing(walk: IdWalk, node: Node) -> Ids:
    """A range of one dimension; of channels, see ``_tie_slice``."""
    ids = walk.ids(node.args[0])
    out = compress(node.target(ids, *node.args[1:], **node.kwargs))  # type: ignore[operator]
    dim = int(argument(node, 1, 'dim', 0)) % ids.dim()
    start = int(argument(node, 2, 'start', 0) or 0)
    step = int(argument(node, 4, 'step', 1)) if 'slice' in str(node.target) else 1
    _tie_slice(walk, node, ids, dim, (start, out.shape[dim], step))
    return out


def _tie_slice(walk: IdWalk, node: Node, ids: Tensor, dim: int, cut: tuple[int, int, int]) -> None:
    """``x[:, :C // 2]`` cuts blocks, ``x[:, ::2]`` pairs; any other bound pins channels.

    ``cut`` is start, size and step.
    """
    start, size, step = cut
    whole = ids.shape[dim]
    start = max(0, start + whole if start < 0 else start)
    if dim not in varying(ids) or size == whole:
        return
    if step > 1 and whole % step == 0:
        pairs = squeeze_constant(ids).unflatten(dim, (-1, step))
        walk.space.unite(pairs.narrow(dim + 1, 0, step - 1), pairs.narrow(dim + 1, 1, step - 1))
    elif size and whole % size == 0 and start % size == 0:
        _tie_blocks(walk, ids, dim, size)
    else:
        end = start + size if start + size < whole else start
        walk.freeze(ids.narrow(dim, 0, end), node, f'a literal bound of a slice of {whole}')


@rule('aten.slice_scatter', 'aten.select_scatter')
def scattering(walk: IdWalk, node: Node) -> Ids:
    """An in-place change of a part (``y[:, :8] += z``), written without side effects."""
    base, source = walk.ids(node.args[0]), walk.ids(node.args[1])
    dim = int(argument(node, 2, 'dim', 0)) % base.dim()
    start = argument(node, 3, 'start' if 'slice' in str(node.target) else 'index', 0) or 0
    if 'select' in str(node.target):
        source = source.unsqueeze(dim)
    size = source.shape[dim]
    start = int(start) % base.shape[dim] if size < base.shape[dim] else 0
    part = base.narrow(dim, start, size)
    step = int(argument(node, 5, 'step', 1))
    _tie_slice(walk, node, base, dim, (start, size, step))
    meet(walk, node, [part, source], tuple(part.shape))
    out = walk.space.canonical(base)
    if bool((squeeze_constant(out) == 0).any()):  # a buffer of zeros being filled
        out = out.clone()
        out.narrow(dim, start, size).copy_(source.expand(part.shape))
    return compress(out)


@rule('aten.select', 'aten.unbind')
def selecting(walk: IdWalk, node: Node) -> Ids:
    """One index of a dimension. One literal channel of many pins them all."""
    ids = walk.ids(node.args[0])
    dim = int(argument(node, 1, 'dim', 0)) % ids.dim()
    if varying(ids) == (dim,):
        walk.freeze(ids, node, 'picks single channels')
    if 'unbind' in str(node.target):
        return tuple(compress(part) for part in ids.unbind(dim))
    return compress(ids.select(dim, int(node.args[2])))  # type: ignore[arg-type]


@rule('aten.index_select', 'aten.index', 'aten.gather')
def indexing(walk: IdWalk, node: Node) -> Ids:
    """With constant indices the operator runs on the ids; with computed ones channels stay."""
    source = node.args[0]
    ids = walk.ids(source)
    others = [n for n in node.all_input_nodes if n is not source]
    if all(n in walk.known for n in others):
        rest = torch.fx.map_arg(node.args[1:], walk.known.__getitem__)
        if varying(ids) and not _leaves_channels_alone(node, ids):
            walk.freeze(ids, node, 'picks channels by literal numbers')
        return compress(node.target(ids, *rest))  # type: ignore[operator]
    if varying(ids) and not _leaves_channels_alone(node, ids):
        walk.freeze(ids, node, 'picks by computed positions')
        return walk.opaque(node, shape_of(node), 'picks by computed positions')
    return _after_indexing(node, ids)


def _leaves_channels_alone(node: Node, ids: Tensor) -> bool:
    if 'index_select' in str(node.target):
        return int(node.args[1]) % ids.dim() not in varying(ids)  # type: ignore[arg-type]
    picked = _picked(node)
    return bool(picked) and not set(picked) & set(varying(ids))


def _picked(node: Node) -> list[int]:
    """Neighbouring dimensions that ``x[:, i, j]`` indexes with tensors; [] where it is odd."""
    if 'index.Tensor' not in str(node.target):
        return []
    given: Any = node.args[1]
    dims = [dim for dim, index in enumerate(given) if index is not None]
    return dims if dims == list(range(dims[0], dims[-1] + 1)) else []


def _after_indexing(node: Node, ids: Tensor) -> Tensor:
    shape = shape_of(node)
    if not varying(ids):
        return squeeze_constant(ids).reshape(-1)[:1].reshape((1,) * len(shape)).expand(shape)
    if picked := _picked(node):  # they become as many dimensions as the indices have
        ids = ids.narrow(picked[0], 0, 1)
        for dim in picked[1:]:
            ids = ids.narrow(dim, 0, 1)
        made = len(shape) - (ids.dim() - len(picked))
        whole = [1] * picked[0] + [1] * made + list(ids.shape[picked[-1] + 1 :])
        whole[: picked[0]] = ids.shape[: picked[0]]
        return ids.reshape(whole).expand(shape)
    dim = int(node.args[1]) % ids.dim()  # type: ignore[arg-type]
    return ids.narrow(dim, 0, 1).expand(shape)
