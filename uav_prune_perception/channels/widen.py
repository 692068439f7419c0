# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules that mix channels run at full width inside a narrow network.

A LayerNorm divides by a statistic of all channels; squeeze-by-1D-convolution (ECA) slides over
them; a global response norm takes their mean. Cut a channel and the others change. But such a
module costs almost nothing beside the convolutions around it. So it keeps its width: `Widened`
puts zeros where channels are missing, runs it, and passes on the channels that are there. That is
what the masked network computes, and the convolutions on both sides shrink.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional

from .exported import module_paths, operator_name
from .id_space import varying

if TYPE_CHECKING:
    from .walk import IdWalk

CHEAP = 0.02
"""Largest share of the network's MACs that a widened module may have: they are not saved."""


@dataclass(frozen=True)
class Widening:
    """How a module is widened: part of a plan.

    Attributes:
        positions: channels that are there, of ``width``.
        width: channels of the dense network.
        dim: the dimension in which they lie, in the module's input and output alike.
    """

    positions: tuple[int, ...]
    width: int
    dim: int


class Wrapper(nn.Module):
    """Stands in for ``inner``, and has its attributes too."""

    inner: nn.Module

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'inner':
                raise
            return getattr(self.inner, name)


class Widened(Wrapper):
    """Runs ``inner`` on all channels, zeros where they were cut, and returns those that stay."""

    kept: Tensor
    spread: Tensor

    def __init__(self, inner: nn.Module, widening: Widening) -> None:
        super().__init__()
        self.width, self.dim = widening.width, widening.dim
        kept = torch.tensor(widening.positions)
        # Channel len(kept) of the padded input is zero: where channels are missing.
        spread = torch.full((widening.width,), len(kept))
        spread[kept] = torch.arange(len(kept))
        parameter = next(inner.parameters(), None)
        device = None if parameter is None else parameter.device
        self.register_buffer('kept', kept.to(device), persistent=False)
        self.register_buffer('spread', spread.to(device), persistent=False)
        self.inner = inner  # last: names of its own must not be found in it

    def forward(self, x: Tensor, *others: Any, **named: Any) -> Tensor:
        """[..., kept channels, ...] -> the same; further arguments are not tensors."""
        behind = [0, 0] * (x.dim() - 1 - self.dim)
        wide = functional.pad(x, [*behind, 0, 1]).index_select(self.dim, self.spread)
        return self.inner(wide, *others, **named).index_select(self.dim, self.kept)

    def extra_repr(self) -> str:
        """How many of how many channels."""
        return f'{self.kept.numel()} of {self.width} channels in dimension {self.dim}'


@dataclass(frozen=True, eq=False)
class WideModule:
    """A module that a walk passes by: what comes out has the channels of what went in.

    Attributes:
        source: node that computes its input.
        sink: node that is its output.
        dim: the dimension of both in which the channels lie.
        nodes: everything inside, the sink included.
    """

    source: Node
    sink: Node
    dim: int
    nodes: frozenset[Node]


def find_wide(walk: IdWalk) -> dict[str, WideModule]:
    """Path -> module at which a finished walk froze channels and that can be run at full width."""
    if not walk.suspects:
        return {}
    inside = _nodes_of_modules(walk)
    limit = CHEAP * sum(
        work.constant * math.prod(len(ids) for ids in work.factors) for work in walk.work
    )
    known = dict(walk.exported.model.named_modules(remove_duplicate=False))
    found: dict[str, WideModule] = {}
    for node in walk.suspects:
        paths = module_paths(node)
        if not paths or paths[-1] not in known or any(path in found for path in paths):
            continue
        module = _wide_module(walk, inside[paths[-1]])
        if module is not None and sum(map(fixed_macs, module.nodes)) <= limit:
            found[paths[-1]] = module
    return found


def _nodes_of_modules(walk: IdWalk) -> dict[str, list[Node]]:
    inside: dict[str, list[Node]] = {}
    for node in walk.exported.graph_module.graph.nodes:
        if node.op == 'call_function':
            for path in module_paths(node):
                inside.setdefault(path, []).append(node)
    return inside


def _wide_module(walk: IdWalk, nodes: list[Node]) -> WideModule | None:
    """One activation in, one of the same shape out, channels in one dimension; or None."""
    own = frozenset(nodes)
    sources = {
        argument
        for node in nodes
        for argument in node.all_input_nodes
        if argument not in own and _is_activation(walk, argument)
    }
    sinks = [n for n in nodes if any(user not in own for user in n.users)]
    if len(sources) != 1 or len(sinks) != 1:
        return None
    source, sink = sources.pop(), sinks[0]
    before, after = source.meta.get('val'), sink.meta.get('val')
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return None
    dims = varying(walk.ids(source))
    if before.shape != after.shape or before.dtype != after.dtype or len(dims) != 1:
        return None
    return WideModule(source, sink, dims[0], own)


def _is_activation(walk: IdWalk, node: Node) -> bool:
    return node.op == 'call_function' or (
        node.op == 'placeholder'
        and node.name not in walk.exported.parameters
        and node.name not in walk.exported.constants
    )


def fixed_macs(node: Node) -> float:
    """Multiply-accumulates of a node that is never cut."""
    name = operator_name(node)
    shape = _shape(node)
    if 'conv' in name and len(node.args) > 1:
        kernel = _shape(node.args[1])
        positions = _shape(node.args[0]) if 'transpose' in name else shape
        return float(math.prod(positions) * math.prod(kernel[1:]))
    if name in ('aten.linear', 'aten.matmul', 'aten.mm', 'aten.bmm'):
        return float(math.prod(shape) * _shape(node.args[0])[-1])
    return 0.0


def _shape(node: object) -> tuple[int, ...]:
    value = node.meta.get('val') if isinstance(node, Node) else None
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def widenings(walk: IdWalk, dead: Tensor) -> dict[str, Widening]:
    """Path -> how each wide module is widened when the classes in ``dead`` are cut."""
    plans: dict[str, Widening] = {}
    for path, module in walk.wide.items():
        ids = walk.channels(walk.ids(module.sink), module.dim)
        kept = torch.nonzero(~dead[ids]).flatten().tolist()
        if len(kept) < ids.numel():
            plans[path] = Widening(tuple(kept), ids.numel(), module.dim)
    return plans
