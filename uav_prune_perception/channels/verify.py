# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The proof: a compact network must compute what the masked dense network computes.

*Masked* means: run the dense graph and set each cut channel to zero at every tensor that carries
it. Whatever the graph was wrong about (a literal size, a cut that moved) shows up as a
difference.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Interpreter, Node
from torch.utils import _pytree as pytree

from .baked import export_plain
from .copies import private_copy
from .errors import ChannelError, ForwardError, first_line
from .exported import operator_name
from .id_space import squeeze_constant
from .model_tensors import Forward
from .plan import PruningPlan
from .recombine import find_branches, silence
from .registry import CHANGES_WHOLE
from .walk import Ids, IdWalk

CHECK = 'aten._assert_tensor_metadata'


class MaskedForward(Interpreter):
    """Runs the exported dense graph with dead channels silenced at every node.

    Args:
        walk: the walk over the graph.
        values: ids of every node's output, canonical.
        plan: what is cut.
    """

    def __init__(self, walk: IdWalk, values: Mapping[Node, Ids], plan: PruningPlan) -> None:
        super().__init__(walk.exported.graph_module)
        self._ids, self._dead = values, dead_classes(walk, plan)
        self._branches = branch_masks(walk, plan)

    def run_node(self, n: Node) -> Any:
        """One operator, then silence."""
        if operator_name(n) == CHECK:
            return None  # of the precision that was traced; this run may be in another
        result = super().run_node(n)
        if n in self._branches and isinstance(result, Tensor):
            result = result.masked_fill(self._branches[n], 0)
        ids = self._ids.get(n)
        if n.op != 'call_function' or ids is None:
            return result
        if isinstance(result, (tuple, list)):
            return type(result)(self._silence(r, i) for r, i in zip(result, ids, strict=True))
        return self._silence(result, ids, in_place=operator_name(n) in CHANGES_WHOLE)

    def _silence(self, result: Any, ids: Any, *, in_place: bool = False) -> Any:
        if not isinstance(result, Tensor) or not isinstance(ids, Tensor):
            return result
        dead = self._dead[squeeze_constant(ids)]
        if not result.is_floating_point() or not bool(dead.any()):
            return result
        return result.masked_fill_(dead, 0) if in_place else result.masked_fill(dead, 0)


def dead_classes(walk: IdWalk, plan: PruningPlan) -> Tensor:
    """Bool [number of ids]: the classes that ``plan`` cuts."""
    dead = torch.zeros(len(walk.space), dtype=torch.bool)
    placed = {name for place in plan.placements.values() for name in place.parameters}
    for cut in plan.cuts:
        if cut.parameter in placed and cut.dim == 0:
            continue  # only the branch loses these channels, not the stream
        ids = walk.slots.get((cut.parameter, cut.dim))
        if ids is None:
            raise ChannelError(f'the plan cuts {cut.parameter}, which this graph does not know')
        gone = torch.ones(cut.size, dtype=torch.bool)
        gone[list(cut.kept)] = False
        dead[walk.space.canonical(ids)[gone]] = True
    return dead


def branch_masks(walk: IdWalk, plan: PruningPlan) -> dict[Node, Tensor]:
    """Node -> what is cut there in a branch that keeps channels of its own."""
    masks: dict[Node, Tensor] = {}
    if plan.placements:
        branches = find_branches(walk.exported)
        kept = {cut.parameter: cut.kept for cut in plan.cuts if cut.dim == 0}
        for placement in plan.placements.values():
            weight = placement.parameters[0]
            masks.update(silence(branches[weight], kept[weight]))
    return masks


def masked_outputs(
    walk: IdWalk, values: Mapping[Node, Ids], plan: PruningPlan, model: nn.Module
) -> list[Tensor]:
    """Floating-point outputs of the dense graph with the weights of ``model``, cuts silenced."""
    forward = MaskedForward(walk, values, plan)
    with torch.no_grad():
        outputs = forward.run(*walk.exported.bind(model), enable_io_processing=False)
    return floats(outputs)


def floats(outputs: Any) -> list[Tensor]:
    """Floating-point tensors of a nested output, in order."""
    leaves = pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def relative_error(reference: Sequence[Tensor], compact: Sequence[Tensor]) -> float:
    """Largest difference of each output over the output's largest value; worst output.

    Infinite where outputs differ in number or shape, or are not finite in the same places.
    """
    if len(reference) != len(compact):
        return float('inf')
    worst = 0.0
    for a, b in zip(reference, compact, strict=True):
        if a.shape != b.shape:
            return float('inf')
        if a.numel() == 0:
            continue
        finite = a.isfinite()
        if not torch.equal(finite, b.isfinite()):
            return float('inf')
        difference = (a - b)[finite].abs()
        if difference.numel() == 0:
            continue
        scale = float(a[finite].abs().max())
        worst = max(worst, float(difference.max()) / (scale or 1.0))
    return worst


def compact_outputs(model: nn.Module, example: tuple[Any, ...]) -> list[Tensor]:
    """Outputs of a compact network.

    Raises:
        ForwardError: its forward fails; names the module that was running.
    """
    running: list[str] = []
    names = {id(module): name for name, module in model.named_modules()}

    def entered(module: nn.Module, _: Any) -> None:
        running.append(names[id(module)])

    def left(module: nn.Module, _: Any, __: Any) -> None:
        running.pop()

    handles = [m.register_forward_pre_hook(entered) for m in model.modules()]
    handles += [m.register_forward_hook(left) for m in model.modules()]
    try:
        with torch.no_grad():
            return floats(model(*example))
    except Exception as error:  # any exception of the user's forward
        module = running[-1] if running else ''
        where = module or 'its own forward'
        text = f'the compact network fails in {where}: {first_line(error)}'
        raise ForwardError(text, module) from error
    finally:
        for handle in handles:
            handle.remove()


def verify(
    model: nn.Module,
    compact_model: nn.Module,
    plan: PruningPlan,
    example_inputs: Any,
    forward: Forward | None = None,
) -> float:
    """Relative error of a compact network against the masked dense network.

    Both run as private copies in evaluation mode, in float64 where the network bears it.

    Args:
        model: the dense network.
        compact_model: ``compact(model, plan)``, or the same reloaded.
        plan: what was cut.
        example_inputs: as for `ChannelGraph.trace`.
        forward: likewise.

    Returns:
        Largest absolute difference over the largest output; 1e-9 is exact in float64, 1e-4 in
        float32.

    Raises:
        ChannelError: the compact network cannot run.
    """
    exported = export_plain(model, example_inputs, forward)
    walk = IdWalk.of(exported)
    values = canonical_values(walk)
    reference = masked_outputs(walk, values, plan, exported.model)
    small = private_copy(compact_model, exported.dtype, exported.forward)
    return relative_error(reference, compact_outputs(small, copy.deepcopy(exported.example)))


def canonical_values(walk: IdWalk) -> dict[Node, Ids]:
    """Ids of every node's value by class, after all ties."""
    return {
        node: pytree.tree_map(
            lambda ids: walk.space.canonical(ids) if isinstance(ids, Tensor) else None, value
        )
        for node, value in walk.values.items()
    }
