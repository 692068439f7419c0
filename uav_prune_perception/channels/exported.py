# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An unmodified module becomes a flat graph of ATen operators.

`torch.export` (non-strict) runs the user's Python once with shape-only tensors, so ordinary
control flow is fine. The graph is then made functional: ``y[:, :8] += z`` turns into explicit
slices and scatters, so nothing changes behind the walker's back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import logging
import operator
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils import _pytree as pytree

from .copies import private_copy, shape_only_copy
from .errors import ChannelError, first_line
from .model_tensors import Forward, first_names, named_tensors, unwrap
from .parts import find_parts
from .registry import CHANGES_WHOLE, rule_of

RECURRENT = {'aten.lstm', 'aten.gru', 'aten.rnn_tanh', 'aten.rnn_relu'}
"""Left whole: taken apart they are a graph for each step."""
SLICE = re.compile(r'\.slice\(None, [^)]*\)')


@dataclass
class Exported:
    """A network as a graph.

    Attributes:
        graph_module: functional ATen graph; its placeholders are parameters, buffers, constants
            and inputs.
        parameters: placeholder name -> name in ``model.named_parameters()`` or buffers.
        constants: placeholder name -> value of a tensor that the forward itself made.
        dtype: floating-point type of the traced copy, the widest that the model bears.
        model: that copy (evaluation mode, ``dtype``, CPU).
        example: positional example inputs for ``model``.
        baked: paths of layers whose computed weight was baked first (see `baked`).
        forward: what ran in place of the model's own forward, if anything: the user's, or the
            replay of the parts that can be traced (see `parts`); it takes ``example``.
        whole: positional example inputs for the model's own forward, if only parts were traced.
        parts: paths of those parts, in call order.
    """

    graph_module: GraphModule
    parameters: dict[str, str]
    constants: dict[str, Tensor]
    dtype: torch.dtype
    model: nn.Module
    example: tuple[Any, ...]
    baked: tuple[str, ...] = ()
    forward: Forward | None = None
    whole: tuple[Any, ...] | None = None
    parts: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[Any]:
        """A value for each placeholder, from ``model`` and ``example``."""
        return self.bind(self.model)

    def bind(self, model: nn.Module) -> list[Any]:
        """A value for each placeholder, the weights taken from ``model`` (same names).

        Inputs get the precision of the weights, and so do constants that have that of the trace.
        Others keep theirs: a table of anchors that is float32 whatever the network is rounds as
        it does in the network itself.
        """
        state = named_tensors(model)
        float_type = next((t.dtype for t in state.values() if t.is_floating_point()), self.dtype)
        leaves = iter(pytree.tree_leaves((cast(self.example, float_type), {})))
        values: list[Any] = []
        for node in placeholders(self.graph_module):
            if node.name in self.parameters:
                values.append(state[self.parameters[node.name]])
            elif node.name in self.constants:
                constant = self.constants[node.name]
                follows = constant.dtype == self.dtype
                values.append(cast(constant, float_type) if follows else constant)
            else:
                values.append(next(leaves, None))
        return values


def readings(model: nn.Module, example_inputs: Any) -> list[tuple[Any, ...]]:
    """Example inputs as positional arguments: what they may mean, the likeliest first.

    A tensor alone is the only argument. A list holds the arguments, or is one (of images); a
    mapping is the only argument, or names them.
    """
    if isinstance(example_inputs, tuple):
        return [example_inputs]
    if isinstance(example_inputs, list):
        return [tuple(example_inputs), (example_inputs,)]
    if isinstance(example_inputs, Mapping):
        with contextlib.suppress(TypeError):  # names that the forward does not know
            bound = inspect.signature(model.forward).bind(**example_inputs)
            bound.apply_defaults()
            if not bound.kwargs.keys() & example_inputs.keys():
                return [bound.args, (example_inputs,)]
    return [(example_inputs,)]


def run_example(model: nn.Module, example_inputs: Any, dtype: torch.dtype) -> tuple[Any, ...]:
    """Run ``model`` once; the positional arguments that it accepted.

    That fills lazy caches and proves that the example fits.
    """
    problem: Exception | None = None
    for reading in readings(model, example_inputs):
        example = cast(reading, dtype)
        try:
            with torch.no_grad():
                model(*example)
            return example
        except Exception as error:  # any exception of the user's forward
            problem = problem or error
    assert problem is not None
    raise problem


def cast(tree: Any, dtype: torch.dtype) -> Any:
    """Floating-point tensors of a nested structure as ``dtype``, on the CPU."""

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().to('cpu', dtype if leaf.is_floating_point() else leaf.dtype)

    return pytree.tree_map(one, tree)


def export(model: nn.Module, example_inputs: Any, forward: Forward | None = None) -> Exported:
    """Export a copy of ``model`` in float64, or in float32 where the network insists on it.

    Where the forward as a whole cannot be exported, the parts of it that can be are.

    Raises:
        ChannelError: nothing can be traced; names the reason and the mend.
    """
    problem: Exception | None = None
    runs: list[tuple[torch.dtype, tuple[Any, ...]]] = []
    for dtype in (torch.float64, torch.float32):
        private = private_copy(model, dtype, forward)
        try:
            runs.append((dtype, run_example(private, example_inputs, dtype)))
            return dataclasses.replace(_export(private, runs[-1][1], dtype), forward=forward)
        except Exception as error:  # any exception of the user's forward
            problem = error
            if isinstance(error, (GuardOnDataDependentSymNode, ChannelError)):
                break  # another precision would not help
    reason = f'{type(problem).__name__}: {first_line(problem)}'
    name = type(unwrap(model)).__name__
    if not runs:
        raise ChannelError(
            f'{name}: the forward fails with the example inputs ({reason}); they are passed as '
            'positional arguments, those of a tuple one by one'
        ) from problem
    if forward is None:
        for dtype, example in runs:
            with contextlib.suppress(Exception):  # the first problem is the one to tell
                return _export_parts(model, example, dtype)
    raise ChannelError(
        f'{name}: the forward cannot be traced ({reason}); trace the part without '
        'data-dependent control flow (before non-maximum suppression) by giving '
        'forward=lambda model, x: ..., with inputs that fit'
    ) from problem


def _export_parts(model: nn.Module, example: tuple[Any, ...], dtype: torch.dtype) -> Exported:
    with quiet():
        parts = find_parts(private_copy(model, dtype), example)
    forward = parts.forward
    private = private_copy(model, dtype, forward)
    exported = _export(private, parts.given, dtype)
    paths = tuple(dict.fromkeys(call.path for call in parts.calls))
    return dataclasses.replace(exported, forward=forward, whole=example, parts=paths)


def _export(model: nn.Module, example: tuple[Any, ...], dtype: torch.dtype) -> Exported:
    with quiet(), torch.no_grad():
        # Export a copy: a forward may cache shape-only tensors in the module it ran in.
        program = torch.export.export(shape_only_copy(model), example, strict=False)
        if not all(_is_plain(node) for node in program.graph.nodes):
            program = program.run_decompositions({})
        if known := _decompositions(program.graph.nodes):
            program = program.run_decompositions(known)
    for node in program.graph.nodes:
        for value in pytree.tree_leaves(node.meta.get('val')):
            if isinstance(value, Tensor) and not all(type(size) is int for size in value.shape):
                where = module_path(node) or 'the forward'
                raise ChannelError(f'{operator_name(node)} in {where}: its size depends on data')
    signature = program.graph_signature
    first = first_names(model)
    parameters = {
        placeholder: first.get(name, name)
        for table in (signature.inputs_to_parameters, signature.inputs_to_buffers)
        for placeholder, name in table.items()
    }
    constants = {
        name: program.constants[target]
        for name, target in signature.inputs_to_lifted_tensor_constants.items()
    }
    return Exported(program.graph_module, parameters, constants, dtype, model, example)


def _decompositions(nodes: Iterable[Node]) -> dict[Any, Any]:
    """How torch takes apart those operators that have no rule (einsum, ...)."""
    table: Any = None
    found: dict[Any, Any] = {}
    for node in nodes:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload) or rule_of(operator_name(node)):
            continue
        if operator_name(node) in RECURRENT:
            continue
        table = torch.export.default_decompositions() if table is None else table
        if target in table:
            found[target] = table[target]
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Export prints whole graphs when it fails; the caller says what matters in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        nowhere = io.StringIO()
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)


def _is_plain(node: Node) -> bool:
    """An operator that changes at most a whole tensor of its own, such as ``relu_`` of a sum.

    Export's own graph is kept where it will do: it is faster to get, names the module of every
    node, and survives modules that are registered under two names.
    """
    if node.op != 'call_function' or node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload):
        return False  # a sub-graph, e.g. of torch.no_grad()
    changed = [a for a in node.target._schema.arguments if a.alias_info and a.alias_info.is_write]
    if not changed:
        return True
    source = node.args[0]
    return (
        operator_name(node) in CHANGES_WHOLE
        and isinstance(source, Node)
        and source.op == 'call_function'
        and not _is_view(source)
    )


def _is_view(node: Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.target is operator.getitem  # of a split
    returns = node.target._schema.returns
    return any(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def placeholders(graph_module: GraphModule) -> Sequence[Node]:
    """The graph's input nodes, in call order."""
    return [node for node in graph_module.graph.nodes if node.op == 'placeholder']


def operator_name(node: Node) -> str:
    """``aten.conv2d`` for ``aten.conv2d.default``; for anything else, how it prints."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.replace('::', '.')
    return getattr(target, '__name__', str(target))


def module_paths(node: Node) -> list[str]:
    """Dotted paths of the modules that were running at this node, outermost first.

    The network itself is left out; a call number (``conv@1``) is dropped, and so is a slice of a
    sequence that begins where the sequence does (``model.slice(None, -1, None).6``).
    """
    stack = node.meta.get('nn_module_stack', {}).values()
    paths = (SLICE.sub('', str(where).split('@')[0]) for where, _ in stack)
    return [path for path in paths if path]


def module_path(node: Node) -> str:
    """Dotted path of the innermost module that ran this node; '' for the network itself."""
    return next(reversed(module_paths(node)), '')
