# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules for element-by-element operators: activations keep ids, sums and products unite them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import Node

from .id_space import FREE, compress, squeeze_constant, varying
from .walk import Ids, IdWalk, rule, shape_of

SAME = """
abs acos asin atan bitwise_not ceil celu clamp clamp_max clamp_min clone contiguous cos cosh
detach detach_ dropout elu erf erfc exp expm1 feature_dropout floor frac gelu hardshrink
hardsigmoid hardswish hardtanh isfinite isinf isnan leaky_relu lift_fresh_copy log log10 log1p
log2 log_sigmoid logical_not logit mish nan_to_num native_dropout neg positive reciprocal relu
relu6 round rrelu rsqrt selu sigmoid sign silu sin sinh softplus softshrink softsign sqrt square
tan tanh tanhshrink threshold trunc alias _to_copy to type_as view_as_real_copy alias_copy
alpha_dropout hardswish_ relu_ silu_ _assert_tensor_metadata
"""
JOINING = """
add sub rsub mul div true_divide floor_divide remainder fmod pow maximum minimum fmax fmin
atan2 hypot where eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or
bitwise_xor addcmul addcdiv lerp masked_fill copysign copy xlogy __and__ __or__
"""
WITHOUT_CHANNELS = """
full full_like zeros zeros_like ones ones_like new_zeros new_ones new_full scalar_tensor empty
empty_like new_empty arange linspace eye rand_like randn_like rand randn meshgrid tril_indices
fill zero fill_ zero_
"""


def operators(names: str) -> list[str]:
    """``relu elu`` -> ``aten.relu aten.elu``."""
    return [f'aten.{name}' for name in names.split()]


@rule(*operators(SAME))
def same(walk: IdWalk, node: Node) -> Ids:
    """The output's channels are the first argument's."""
    return walk.ids(node.args[0])


@rule(*operators(JOINING))
def joining(walk: IdWalk, node: Node) -> Ids:
    """Operands meet element by element: channels that meet live and die together."""
    operands = [walk.ids(a) for a in node.all_input_nodes if 'val' in a.meta]
    return meet(walk, node, operands, shape_of(node))


@rule(*operators(WITHOUT_CHANNELS))
def without_channels(walk: IdWalk, node: Node) -> Ids:
    """Values that belong to no channel."""
    value = node.meta['val']
    if isinstance(value, (tuple, list)):
        return tuple(torch.full(tuple(v.shape), FREE) for v in value)
    return torch.zeros((), dtype=torch.int64).expand(tuple(value.shape))


@rule('aten.glu')
def gated_linear_unit(walk: IdWalk, node: Node) -> Ids:
    """First half times the sigmoid of the second half."""
    ids = walk.ids(node.args[0])
    dim = int(node.args[1]) if len(node.args) > 1 else -1  # type: ignore[arg-type]
    first, second = ids.chunk(2, dim)
    return meet(walk, node, [first, second], shape_of(node))


def meet(walk: IdWalk, node: Node, operands: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Unite broadcast operands and return the ids of the result.

    An operand of size 1 where another has many channels (a spatial mask, an attention map) is
    not coupled to any of them: it is one value for all, and it stays.
    """
    operands = [ids for ids in operands if bool((squeeze_constant(ids) != FREE).any())]
    aligned = [ids.reshape((1,) * (len(shape) - ids.dim()) + tuple(ids.shape)) for ids in operands]
    coupled: list[Tensor] = []
    for index, ids in enumerate(aligned):
        others = [dim for k, other in enumerate(aligned) if k != index for dim in varying(other)]
        if any(ids.shape[dim] == 1 and shape[dim] > 1 for dim in others):
            walk.freeze(ids, node, 'one value for all channels (size 1 meets many)')
        else:
            coupled.append(ids.expand(shape))
    if not coupled:
        if not aligned:
            return torch.zeros((), dtype=torch.int64).expand(shape)
        return compress(aligned[0].expand(shape))
    result = coupled[0]
    for ids in coupled[1:]:
        a, b = torch.broadcast_tensors(squeeze_constant(result), squeeze_constant(ids))
        walk.space.unite(a, b)
        result = torch.where(a == FREE, b, a).expand(shape)
    return walk.space.canonical(result)
