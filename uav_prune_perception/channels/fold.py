# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Constants of cut channels, folded into the layers that read them.

Sparse training drives a BatchNorm scale to 0, but its shift stays: the channel still emits
``activation(shift)``. Compaction cuts that constant away. Here it is added to the next layer's
bias (or taken from the running mean of its BatchNorm). Exact for 1x1 convolutions and linear
layers; behind zero padding a border of the output is off, which the report measures.
Source: METHODS 2.4 (L1RR stage 3); Simplify (EIDOSLab) folds likewise.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Interpreter, Node

from .copies import private_copy
from .errors import ChannelError
from .exported import Exported, operator_name
from .graph import ChannelGraph
from .model_tensors import named_tensors
from .plan import PruningPlan
from .recombine import NORMS
from .verify import compact_outputs, floats, relative_error

READERS = ('aten.conv1d', 'aten.conv2d', 'aten.conv3d', 'aten.linear')


@dataclass
class FoldReport:
    """What was folded.

    Attributes:
        folded: paths of layers that took up constants.
        skipped: layers that did not, with the reason.
        error_before: relative error of the compact network against the dense one whose cut
            channels have scale 0 (and emit their constants), before folding.
        error_after: after folding; what is left is the border effect and what was skipped.
    """

    folded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    error_before: float = 0.0
    error_after: float = 0.0


def fold_constants(
    graph: ChannelGraph, model: nn.Module, small: nn.Module, plan: PruningPlan
) -> FoldReport:
    """Fold constants into ``small`` in place.

    Args:
        graph: the channel graph of ``model``.
        model: the dense network with the weights that were cut.
        small: ``compact(model, plan)``.
        plan: a plan without residual reconstruction.

    Raises:
        ChannelError: the plan has placements (branches with channels of their own).
    """
    if plan.placements:
        raise ChannelError('constants cannot be folded after residual reconstruction')
    exported = graph.exported
    dense = private_copy(graph.plain(model), exported.dtype, graph.forward)
    quiet = _quieted(exported, dense, plan)
    reader = _Reader(exported, plan)
    with torch.no_grad():
        reference = floats(reader.run(*exported.bind(quiet), enable_io_processing=False))
    report = FoldReport()
    report.error_before = _error(graph, reference, small)
    for node, constants in reader.constants.items():
        _fold_into(exported, small, node, constants, (quiet, plan, report))
    report.error_after = _error(graph, reference, small)
    return report


def _error(graph: ChannelGraph, reference: list[Tensor], small: nn.Module) -> float:
    private = private_copy(small, graph.dtype, graph.forward)
    return relative_error(
        reference, compact_outputs(private, copy.deepcopy(graph.exported.example))
    )


def _gone(plan: PruningPlan) -> dict[tuple[str, int], list[int]]:
    return {
        (cut.parameter, cut.dim): sorted(set(range(cut.size)) - set(cut.kept)) for cut in plan.cuts
    }


def _quieted(exported: Exported, dense: nn.Module, plan: PruningPlan) -> nn.Module:
    """The dense network with scale 0 in cut channels; layers without BatchNorm: weight 0."""
    gone, named = _gone(plan), named_tensors(dense)
    with torch.no_grad():
        for node in exported.graph_module.graph.nodes:
            name = _parameter(exported, node.args[1]) if len(node.args) > 1 else None
            operator = operator_name(node)
            if name is None or not gone.get((name, 0)):
                continue
            if operator in NORMS or (operator in READERS and not _norm_behind(node)):
                named[name][gone[name, 0]] = 0
    return dense


def _norm_behind(node: Node) -> Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and operator_name(users[0]) in NORMS else None


def _parameter(exported: Exported, node: Any) -> str | None:
    return exported.parameters.get(node.name) if isinstance(node, Node) else None


class _Reader(Interpreter):
    """Runs the graph and notes the mean of cut channels where a layer reads them."""

    def __init__(self, exported: Exported, plan: PruningPlan) -> None:
        super().__init__(exported.graph_module)
        self._exported, self._gone = exported, _gone(plan)
        self.constants: dict[Node, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        """Note, then run."""
        name = _parameter(self._exported, n.args[1]) if len(n.args) > 1 else None
        if operator_name(n) in READERS and name and self._gone.get((name, 1)):
            x = self.env[n.args[0]]  # type: ignore[index]
            dim = x.dim() - 1 if operator_name(n) == 'aten.linear' else 1
            table = x.movedim(dim, 0).flatten(1)[self._gone[name, 1]]
            self.constants[n] = torch.stack([table.mean(1), (table.amax(1) - table.amin(1))])
        return super().run_node(n)


def _fold_into(
    exported: Exported,
    small: nn.Module,
    node: Node,
    constants: Tensor,
    context: tuple[nn.Module, PruningPlan, FoldReport],
) -> None:
    dense, plan, report = context
    name = _parameter(exported, node.args[1])
    assert name is not None
    path = name.rpartition('.')[0]
    weight = named_tensors(dense)[name]
    values, spread = constants
    gone = _gone(plan)[name, 1]
    if weight.shape[1] != len(gone) + _kept(plan, name, 1, weight.shape[1]):
        report.skipped[path] = 'a grouped convolution'
        return
    if float(spread.max()) > 1e-9 * max(1.0, float(values.abs().max())):
        report.skipped[path] = 'what it reads is not constant (a border before it)'
    added = weight[:, gone].flatten(2).sum(2) if weight.dim() > 2 else weight[:, gone]
    delta = added @ values
    rows = next((c.kept for c in plan.cuts if (c.parameter, c.dim) == (name, 0)), None)
    delta = delta if rows is None else delta[list(rows)]
    tensors = named_tensors(small)
    bias, norm = tensors.get(f'{path}.bias'), _norm_behind(node)
    mean = tensors.get(_parameter(exported, norm.args[3]) or '') if norm else None
    with torch.no_grad():
        if bias is not None:
            bias += delta.to(bias)
        elif mean is not None:
            mean -= delta.to(mean)
        else:
            report.skipped[path] = 'has neither a bias nor a BatchNorm behind it'
            return
    report.folded.append(path)


def _kept(plan: PruningPlan, name: str, dim: int, size: int) -> int:
    return next((len(c.kept) for c in plan.cuts if (c.parameter, c.dim) == (name, dim)), size)
