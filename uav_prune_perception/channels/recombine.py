# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Residual reconstruction: branches of an addition keep different channels.

Coupled pruning makes every producer of a residual stream keep the same channels. Here each keeps
its own set, computes only that, and a `Recombine` behind it writes the result into the stream,
which carries the union (never the intersection: that would lose what only one branch has).
Source: residual reconstruction of L1RR (Remote Sens. 2024, 16(11), 2026); our reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional

from .exported import Exported, module_path, operator_name
from .walk import shape_of
from .widen import Wrapper

NORMS = (
    'aten.batch_norm',
    'aten._native_batch_norm_legit_no_training',
    'aten._native_batch_norm_legit_functional',
)


@dataclass(frozen=True, eq=False)
class Branch:
    """A convolution whose output channels can be chosen apart from the stream it joins.

    Attributes:
        weight: its weight's name.
        tail: path of the module behind which channels are placed: its BatchNorm, or itself.
        parameters: names of what is cut to the branch's own channels (dimension 0).
        nodes: nodes of the dense graph that carry the branch's own channels.
    """

    weight: str
    tail: str
    parameters: tuple[str, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Placement:
    """Where a branch's channels go in the stream.

    Attributes:
        positions: index in the stream of each of the branch's channels.
        width: channels of the stream.
        parameters: see `Branch`.
    """

    positions: tuple[int, ...]
    width: int
    parameters: tuple[str, ...]


class Recombine(Wrapper):
    """Runs ``inner`` and writes its channels into a wider stream, zeros elsewhere.

    One contiguous run of positions is a padding; anything else one gather of a padded tensor.
    """

    index: Tensor | None

    def __init__(self, inner: nn.Module, placement: Placement) -> None:
        super().__init__()
        self.width = placement.width
        positions = placement.positions
        self.start = positions[0] if positions else 0
        contiguous = positions == tuple(range(self.start, self.start + len(positions)))
        index: Tensor | None = None
        if not contiguous:
            # Channel len(positions) of the padded tensor is zero: what the branch does not have.
            index = torch.full((self.width,), len(positions))
            index[list(positions)] = torch.arange(len(positions))
            parameter = next(inner.parameters(), None)
            index = index if parameter is None else index.to(parameter.device)
        self.register_buffer('index', index, persistent=False)
        self.inner = inner  # last: names of its own must not be found in it

    def forward(self, x: Tensor) -> Tensor:
        """[B, branch channels, ...] -> [B, ``width``, ...]."""
        y = self.inner(x)
        keep = [0, 0] * (y.dim() - 2)
        if self.index is None:
            return functional.pad(y, [*keep, self.start, self.width - self.start - y.shape[1]])
        return functional.pad(y, [*keep, 0, 1]).index_select(1, self.index)

    def extra_repr(self) -> str:
        """How channels are placed."""
        how = f'from {self.start}' if self.index is None else 'gathered'
        return f'width={self.width}, {how}'


def find_branches(exported: Exported) -> dict[str, Branch]:
    """Weight name -> branch, for every convolution that runs once and can be cut on its own."""
    used: dict[str, list[Node]] = {}
    for node in exported.graph_module.graph.nodes:
        if node.op == 'placeholder' and node.name in exported.parameters:
            used.setdefault(exported.parameters[node.name], []).extend(node.users)
    branches: dict[str, Branch] = {}
    for name, users in used.items():
        if len(users) == 1 and (branch := _branch(exported, users[0], name, used)):
            branches[name] = branch
    return branches


def _branch(
    exported: Exported, node: Node, name: str, used: dict[str, list[Node]]
) -> Branch | None:
    if operator_name(node) not in ('aten.conv1d', 'aten.conv2d', 'aten.conv3d'):
        return None
    groups = node.args[6] if len(node.args) > 6 else node.kwargs.get('groups', 1)
    if groups != 1 or _name(exported, node.args[1]) != name:
        return None
    tail, nodes = node, [node]
    users = list(node.users)
    if len(users) == 1 and operator_name(users[0]) in NORMS:
        tail = users[0]
        nodes.append(tail)
    own = [n for n in (*node.args[1:3], *(tail.args[1:5] if tail is not node else ())) if n]
    parameters = [_name(exported, n) for n in own]
    path = (_name(exported, tail.args[1]) or '').rpartition('.')[0]
    # What else runs inside the tail module (an activation of BatchNormAct2d) is the branch's too.
    nodes += [n for n in _after(tail) if n not in nodes and _within(n, path)]
    fits = all(p is not None and len(used[p]) == 1 for p in parameters)
    if not path or not fits or not _within(tail, path):
        return None
    return Branch(name, path, tuple(p for p in parameters if p), tuple(nodes))


def _after(node: Node) -> list[Node]:
    following: list[Node] = []
    while len(node.users) == 1:
        node = next(iter(node.users))
        following.append(node)
    return following


def _within(node: Node, path: str) -> bool:
    where = module_path(node)
    return where == path or where.startswith(f'{path}.')


def _name(exported: Exported, node: object) -> str | None:
    return exported.parameters.get(node.name) if isinstance(node, Node) else None


def silence(branch: Branch, kept: Sequence[int]) -> dict[Node, Tensor]:
    """For the masked dense network: node -> bool mask (broadcastable) of what is cut."""
    gone = torch.ones(shape_of(branch.nodes[0])[1], dtype=torch.bool)
    gone[list(kept)] = False
    return {
        node: gone.reshape(1, -1, *([1] * (branch.nodes[0].meta['val'].dim() - 2)))
        for node in branch.nodes
    }


def arrange(union: Sequence[int], kept: Sequence[set[int]]) -> list[int]:
    """Order the stream's channels so that branches become contiguous where possible.

    Two branches always can: [first only | shared | second only]. Nested sets always can. Of
    both orders the one is taken that makes more channels contiguous.
    """
    largest = sorted(kept, key=len, reverse=True)
    first = largest[0] if largest else set()
    second = next((s for s in largest[1:] if s != first), set())
    pairwise = sorted(union, key=lambda c: (_side(c in first, c in second), c))
    nested = sorted(union, key=lambda c: (-sum(c in s for s in kept), c))
    return max((pairwise, nested), key=lambda order: sum(_contiguous(order, s) for s in kept))


def _side(in_first: bool, in_second: bool) -> int:
    """First only, shared, second only, neither."""
    return {(True, False): 0, (True, True): 1, (False, True): 2, (False, False): 3}[
        in_first, in_second
    ]


def _contiguous(order: Sequence[int], kept: set[int]) -> int:
    places = [place for place, channel in enumerate(order) if channel in kept]
    return len(places) if places and places[-1] - places[0] + 1 == len(places) else 0
