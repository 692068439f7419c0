# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Walk an exported graph once with an id tensor beside each activation.

Each operator has a *rule* (see the ``rules_*`` files) that says what happens to ids. An operator
without a rule freezes the ids it reads and says so: what cannot be followed is never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.utils import _pytree as pytree

from .exported import Exported, module_path, operator_name
from .id_space import FREE, IdSpace, compress, squeeze_constant, varying
from .registry import RULES, rule_of
from .widen import WideModule, find_wide, fixed_macs

Ids = Tensor | tuple[Any, ...] | list[Any] | None
Rule = Callable[['IdWalk', Node], Ids]


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators such as ``aten.relu`` or ``mylib.my_op``.

    A rule gets the walk and the node and returns one id tensor for each output tensor. Use it
    to teach the walk a custom operator::

        @rule('mylib.smooth')
        def smooth(walk: IdWalk, node: Node) -> Ids:
            return walk.ids(node.args[0])  # channel i stays channel i
    """

    def register(function: Rule) -> Rule:
        for name in operators:
            RULES[name] = function
        return function

    return register


@dataclass
class Work:
    """Multiply-accumulates of one node: ``constant * product(kept(ids) for ids in factors)``.

    ``weight`` names the parameter with the weights, if it is known; a second factor counts its
    dimension 0.
    A factor is int64 [n], or [n, k] where k channels share each of n indices.
    """

    node: str
    constant: float
    factors: list[Tensor]
    weight: str = ''


@dataclass
class GroupCount:
    """An attribute that equals ``len(ids) / each``: Conv2d.groups, GroupNorm.num_groups."""

    parameter: str
    attribute: str
    ids: Tensor
    each: int


@dataclass
class IdWalk:
    """The state of one walk: ids of every value, slots of every parameter, work of every node.

    A *slot* is one index of one dimension of a parameter or buffer; ``roles`` says what a
    dimension does: ``producer`` (makes channels), ``norm`` (accompanies them: BatchNorm, bias,
    layer scale) or ``consumer`` (reads them). ``suspects`` are nodes that froze what they read;
    modules in ``wide`` are passed by (see `widen`); parameters in ``whole`` are never cut.
    """

    exported: Exported
    space: IdSpace = field(default_factory=IdSpace)
    values: dict[Node, Ids] = field(default_factory=dict)
    known: dict[Node, Any] = field(default_factory=dict)
    slots: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    roles: dict[tuple[str, int], str] = field(default_factory=dict)
    elements: dict[str, Tensor] = field(default_factory=dict)
    work: list[Work] = field(default_factory=list)
    counts: list[GroupCount] = field(default_factory=list)
    literals: list[tuple[str, int, Tensor]] = field(default_factory=list)
    unfollowed: set[str] = field(default_factory=set)
    suspects: dict[Node, None] = field(default_factory=dict)
    whole: dict[str, tuple[Node, str]] = field(default_factory=dict)
    wide: Mapping[str, WideModule] = field(default_factory=dict)

    # -- what rules use ---------------------------------------------------------------------

    def ids(self, argument: Any) -> Tensor:
        """Ids of one tensor argument, canonical, stride 0 where they do not vary."""
        if isinstance(argument, Node):
            name = self.parameter(argument)
            if name is not None:
                return self._element_ids(name, argument)
            value = self.values.get(argument)
            if isinstance(value, Tensor):
                return self.space.canonical(value)
            return torch.zeros(shape_of(argument), dtype=torch.int64)
        return torch.zeros((), dtype=torch.int64)

    def parameter(self, argument: Any) -> str | None:
        """Name of the parameter or floating-point buffer that ``argument`` is, if it is one."""
        if isinstance(argument, Node) and argument.op == 'placeholder':
            return self.exported.parameters.get(argument.name)
        return None

    def slot(self, name: str, dim: int, size: int, role: str) -> Tensor:
        """Ids of the entries of one parameter dimension, int64 [size]; always the same ids."""
        key = (name, dim)
        if key not in self.slots:
            self.slots[key] = self.space.fresh(size)
            self.roles[key] = role
        return self.slots[key]

    def attach(self, argument: Any, channel_ids: Tensor) -> None:
        """Tie a per-channel parameter (BatchNorm weight, bias, ...) to channels [C]."""
        name = self.parameter(argument)
        if name is not None:
            self.space.unite(self.slot(name, 0, channel_ids.numel(), 'norm'), channel_ids)
        elif isinstance(argument, Node):
            ids = self.ids(argument)
            if ids.shape == channel_ids.shape:  # e.g. a bias of which a part is set to zero
                self.space.unite(ids, channel_ids)
            else:
                self.freeze(channel_ids, argument, 'meets a per-channel value that is computed')

    def freeze(self, ids: Tensor, node: Node, why: str) -> None:
        """Freeze ``ids``; the reason names the module, the operator and ``why``."""
        where = module_path(node) or 'forward'
        self.suspects[node] = None
        self.space.freeze(ids, f'{operator_name(node)} in {where}: {why}')

    def counts_channels(self, node: Node, ids: Tensor, dim: int) -> None:
        """Note that the forward uses the size of ``dim`` as a number (see `literals`)."""
        table = squeeze_constant(ids).movedim(dim, 0).flatten(1).expand(ids.shape[dim], -1)
        self.literals.append((module_path(node), ids.shape[dim], table))

    def opaque(self, node: Node, shape: tuple[int, ...], why: str) -> Tensor:
        """Ids for a value that nothing is known about: one frozen id."""
        one = self.space.fresh(1)
        self.freeze(one, node, why)
        return one.expand(shape) if shape else one.reshape(())

    def channels(self, ids: Tensor, dim: int) -> Tensor:
        """One id for each index of ``dim``: all positions of a channel live and die together."""
        table = squeeze_constant(ids).movedim(dim, 0).flatten(1) if ids.dim() > 1 else ids
        if table.dim() == 2:
            if table.shape[1] > 1:
                self.space.unite(table[:, :-1], table[:, 1:])
            table = table[:, 0]
        return self.space.canonical(table.expand(ids.shape[dim]))

    def on_one_dim(self, ids: Tensor) -> Tensor:
        """Ids that vary along one dimension at most: the others are tied to equal offsets."""
        if len(dims := varying(ids)) > 1:
            self._tie(ids, dims)
        return self.space.canonical(ids)

    # -- the walk -----------------------------------------------------------------------------

    @classmethod
    def of(cls, exported: Exported) -> IdWalk:
        """Walk; where a module froze channels and can be widened instead, walk past it."""
        walk = cls(exported).run()
        while more := find_wide(walk):
            walk = cls(exported, wide={**walk.wide, **more}).run()
        return walk

    def run(self) -> IdWalk:
        """Visit every node in order, then make every tensor rectangular."""
        arguments = iter(self.exported.arguments)
        passed = {node: module for module in self.wide.values() for node in module.nodes}
        for node in self.exported.graph_module.graph.nodes:
            if node.op == 'placeholder':
                self._placeholder(node, next(arguments))
            elif node in passed:
                self.values[node] = self._pass_by(node, passed[node])
            elif node.op == 'call_function':
                self.values[node] = self._apply(node)
            elif node.op == 'get_attr':
                self.values[node] = None
        self._settle_elements()
        self._make_rectangular()
        return self

    def _pass_by(self, node: Node, module: WideModule) -> Ids:
        """Inside a module that runs at full width: only its output has channels."""
        if macs := fixed_macs(node):
            self.work.append(Work(node.name, macs, []))
        if node is module.sink:
            return self.ids(module.source)
        free = torch.zeros((), dtype=torch.int64)
        return pytree.tree_map(
            lambda value: free.expand(tuple(value.shape)) if isinstance(value, Tensor) else None,
            node.meta.get('val'),
        )

    def _placeholder(self, node: Node, value: Any) -> None:
        if not isinstance(value, Tensor):
            self.values[node] = None
        elif node.name in self.exported.constants:
            self.known[node] = value
            self.values[node] = self._constant(node, value)
        elif node.name in self.exported.parameters:
            if not value.is_floating_point():
                self.known[node] = value
        else:
            self.values[node] = self.opaque(node, tuple(value.shape), 'network input')

    def _constant(self, node: Node, value: Tensor) -> Tensor:
        if value.numel() <= 1:
            return torch.full(tuple(value.shape), FREE)
        return self.opaque(node, tuple(value.shape), 'a tensor that the forward made itself')

    def _apply(self, node: Node) -> Ids:
        self._evaluate_known(node)
        function = rule_of(operator_name(node))
        try:
            if function is not None:
                return function(self, node)
            why = 'no rule for this operator'
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
            why = f'its rule does not fit this call ({str(error).splitlines()[0]})'
        self.unfollowed.add(operator_name(node))
        for argument in node.all_input_nodes:
            if name := self.parameter(argument):
                self.whole.setdefault(name, (node, why))
                continue
            for ids in self.leaves(argument):
                self.freeze(ids, node, why)
        return pytree.tree_map(
            lambda value: (
                self.opaque(node, tuple(value.shape), why) if isinstance(value, Tensor) else None
            ),
            node.meta.get('val'),
        )

    def leaves(self, node: Node) -> Iterator[Tensor]:
        """Every id tensor of a node's value (parameters by element)."""
        if self.parameter(node) is not None:
            yield self.ids(node)
            return
        for leaf in pytree.tree_leaves(self.values.get(node)):
            if isinstance(leaf, Tensor):
                yield self.space.canonical(leaf)

    def _evaluate_known(self, node: Node) -> None:
        """Compute integer values that depend on no input: they may index channels."""
        value = node.meta.get('val')
        if not isinstance(value, Tensor) or value.is_floating_point() or value.numel() > 1 << 20:
            return
        if all(argument in self.known for argument in node.all_input_nodes):
            arguments = torch.fx.map_arg(node.args, self.known.__getitem__)
            options = torch.fx.map_arg(node.kwargs, self.known.__getitem__)
            try:
                self.known[node] = node.target(*arguments, **options)  # type: ignore[operator]
            except (RuntimeError, TypeError):
                return

    def _element_ids(self, name: str, node: Node) -> Tensor:
        """Ids of a parameter that is used like an activation (layer scale, position table)."""
        if name not in self.elements:
            shape = shape_of(node)
            count = 1
            for size in shape:
                count *= size
            if count > 1 << 18:
                self.whole.setdefault(name, (node, 'a large table used as a value'))
                self.elements[name] = self.opaque(node, shape, 'a large table used as a value')
            elif count <= 1:
                self.elements[name] = torch.full(shape, FREE)
            else:
                self.elements[name] = self.space.fresh(count).reshape(shape)
        return self.space.canonical(self.elements[name])

    def _settle_elements(self) -> None:
        """A parameter used by element is cut along the one dimension where its classes vary."""
        for (name, _), slots in self.slots.items():
            if name in self.whole:
                self.freeze(slots, *self.whole[name])
        for name, elements in self.elements.items():
            ids = self.space.canonical(elements)
            ids = self.on_one_dim(ids)
            for dim in varying(ids):
                along = squeeze_constant(ids).reshape(-1)
                self.space.unite(self.slot(name, dim, along.numel(), 'norm'), along)

    def _make_rectangular(self) -> None:
        """Tensors stay grids: where ids vary along several dimensions, tie equal offsets.

        After ``view(B, g, C / g, ...)`` the same offset must die in each of the g blocks.
        """
        open_values = [
            (node, leaf)
            for node, value in self.values.items()
            for leaf in pytree.tree_leaves(value)
            if isinstance(leaf, Tensor)
        ]
        changed = True
        while changed:
            changed = False
            for node, leaf in open_values:
                ids = self.space.canonical(leaf)
                if len(dims := varying(ids)) > 1:
                    self._tie(ids, dims)
                    changed = True
                    if len(varying(self.space.canonical(leaf))) > 1:
                        # Constants between channels (a mask that was filled in) tie to nothing.
                        self.freeze(ids, node, 'channels and constants lie side by side')
                        open_values = [(n, v) for n, v in open_values if v is not leaf]

    def _tie(self, ids: Tensor, dims: tuple[int, ...]) -> None:
        self.channels(ids, max(dims, key=lambda dim: (_choices(ids, dim), dim)))


def _choices(ids: Tensor, dim: int) -> int:
    """Different ids along ``dim``, at the first or last index of the other dimensions."""
    table = squeeze_constant(ids).movedim(dim, 0).flatten(1)
    return max(int(torch.unique(table[:, column]).numel()) for column in (0, -1))


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of a node's (single) tensor value."""
    return tuple(int(size) for size in node.meta['val'].shape)


def fit(ids: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``ids`` with constant dimensions stretched or shrunk to ``shape`` (same rank)."""
    small = squeeze_constant(compress(ids))
    return small.expand(shape)
