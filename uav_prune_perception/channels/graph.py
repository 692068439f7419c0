# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The channel graph of a network: which channels live and die together, and what that costs."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.utils import _pytree as pytree

from . import rules_layers, rules_movement, rules_pointwise, rules_reduce, rules_spatial
from .baked import export_plain, with_plain_layers
from .compact import cut_copy
from .copies import private_copy, shaken
from .cost import Cost, CostModel
from .errors import ChannelError, ForwardError
from .exported import Exported, module_paths
from .groups import Frozen, Group, find_groups, producer_channels
from .keep import Keep, choose_keep
from .literals import Edit, Literal, edited_attributes, find_edits
from .model_tensors import Forward
from .multiples import MOST, kind_of, tie_multiples
from .plan import PruningPlan
from .plan_making import choices, dead_of, lost_entries, make_cuts
from .recombine import Branch, find_branches
from .settle import Problem, problem_of, settle, trial_masks
from .verify import (
    canonical_values,
    compact_outputs,
    masked_outputs,
    relative_error,
)
from .walk import IdWalk
from .widen import widenings
from .width_cost import WidthCost

RULE_FILES = (rules_layers, rules_movement, rules_pointwise, rules_reduce, rules_spatial)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
# Random vectors in deep networks amplify rounding (1.8e-9 in YOLOv12n); a wrong cut is far above.
TRIAL_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-3}

TRIALS = 6  # of a network that wants its widths in multiples


class ChannelGraph:
    """Which channels of a network can be cut, in groups. Make one with `trace`.

    Attributes:
        groups: what can be cut, in network order.
        frozen: what cannot, with the operator and the reason.
        branches: weight name -> convolution whose channels can be chosen apart from the residual
            stream that it joins.
        exported: the traced copy and its graph.
        forward: what stands in for the model's own forward, or None (see `Exported.forward`).
    """

    exported: Exported
    forward: Forward | None

    branches: dict[str, Branch]
    groups: list[Group]
    frozen: list[Frozen]

    def __init__(self, walk: IdWalk) -> None:
        self._walk = walk
        self.exported = walk.exported
        self.forward = walk.exported.forward
        self._edits: list[Edit] = []
        self.branches = find_branches(walk.exported)
        self._sort()

    def _sort(self) -> None:
        """Everything that follows from the classes of the walk."""
        walk = self._walk
        self._values = canonical_values(walk)
        self._cost = CostModel(walk, self.exported.model)
        self._literals = [
            Literal(module, value, walk.space.canonical(ids))
            for module, value, ids in walk.literals
        ]
        self.groups, self.frozen = find_groups(walk)

    @classmethod
    def trace(
        cls,
        model: nn.Module,
        example_inputs: Any,
        keep: Iterable[str] = (),
        *,
        forward: Forward | None = None,
        trial: bool = True,
    ) -> ChannelGraph:
        """Trace an unmodified network.

        Args:
            model: any ``nn.Module``; it is not changed.
            example_inputs: a tensor, or a tuple of positional arguments.
            keep: module paths whose outputs must not change. Whatever reaches the network's
                outputs stays in any case.
            forward: ``forward(model, *inputs)`` in place of the model's own (a detector up to
                its raw head outputs). Without it, where the whole cannot be traced, the modules
                that can be are (see `parts`).
            trial: cut a copy of the network once, compare, and freeze what does not reproduce.

        Raises:
            ChannelError: the network cannot be traced, or ``keep`` names no module.
        """
        walk = IdWalk.of(export_plain(model, example_inputs, forward))
        _freeze_outputs(walk)
        for path in keep:
            _freeze_module(walk, path)
        graph = cls(walk)
        if trial:
            graph._settle()
        return graph

    def group(self, name: str) -> Group:
        """The group called ``name``."""
        for group in self.groups:
            if group.name == name:
                return group
        raise ChannelError(f'no prunable group "{name}"')

    def cost(self, keep: Keep | None = None) -> Cost:
        """MACs (for the example inputs) and parameters with only ``keep`` kept."""
        chosen = choices(self.groups, keep or {}, self.branches)
        dead, own = dead_of(self._walk, self.groups, chosen), {}
        for weight, lost in lost_entries(self.groups, chosen).items():
            stream = ~dead[self._walk.space.canonical(self._walk.slots[weight, 0])]
            for parameter in self.branches[weight].parameters:
                own[parameter] = int(stream.sum()) - len(lost)
        return self._cost.cost(dead, own)

    def width_cost(self) -> WidthCost:
        """Cost as a fast formula of the groups' widths alone, in the order of `groups`."""
        return WidthCost(self._cost, self.groups)

    def choose(
        self,
        scores: Mapping[str, Tensor | Mapping[str, Tensor]],
        counts: Mapping[str, float] | float,
        *,
        round_to: int | None = None,
        minimum: int = 1,
    ) -> dict[str, Any]:
        """Keep the best-scored choices of each group; see `choose_keep`."""
        return choose_keep(self.groups, scores, counts, round_to=round_to, minimum=minimum)

    def plan(self, keep: Keep) -> PruningPlan:
        """Turn group name -> kept indices (or bool mask) into slices of parameters.

        Where a group has several producers that `branches` knows, {producer's module: kept} in
        place of one mask cuts each to its own channels (residual reconstruction).
        """
        chosen = choices(self.groups, keep, self.branches)
        cuts, placements = make_cuts(self._walk, self.groups, chosen, self.branches)
        dead = dead_of(self._walk, self.groups, chosen)
        counts = {g.name: (int(chosen[g.name].mask.sum()), g.width) for g in self.groups}
        wide = widenings(self._walk, dead)
        return PruningPlan(
            cuts, self._attributes(dead), counts, placements, wide, self.exported.baked
        )

    def verify(self, model: nn.Module, compact_model: nn.Module, plan: PruningPlan) -> float:
        """As `verify`, without tracing again: ``model`` has the weights that were cut."""
        dense = private_copy(self.plain(model), self.exported.dtype, self.forward)
        small = private_copy(compact_model, self.exported.dtype, self.forward)
        return self._error(dense, small, plan)

    def error(self, compact_model: nn.Module, plan: PruningPlan) -> float:
        """As `verify`, where the weights that were cut are still those that were traced."""
        small = private_copy(compact_model, self.exported.dtype, self.forward)
        return self._error(self.exported.model, small, plan)

    def reference(
        self, model: nn.Module, plan: PruningPlan, dtype: torch.dtype | None = None
    ) -> list[Tensor]:
        """Outputs of the masked dense network, in ``dtype``: what the compact one must compute."""
        dense = private_copy(self.plain(model), dtype or self.dtype, self.forward)
        return masked_outputs(self._walk, self._values, plan, dense)

    def plain(self, model: nn.Module) -> nn.Module:
        """The network that is cut: ``model``, or a copy in which computed weights are baked."""
        return with_plain_layers(model, self.exported.baked)

    def part(self, model: nn.Module) -> Forward:
        """What was traced of ``model`` (same class, any widths): itself, or a part of it."""
        return model if self.forward is None else functools.partial(self.forward, model)

    def prove(self, plan: PruningPlan) -> float:
        """Relative error of the plan with random vectors in place of the network's own.

        Fresh or sparse networks hide mistakes (a scale of zero hides a whole branch).
        """
        dense = shaken(self.exported.model, seed=1)
        return self._error(dense, cut_copy(dense, plan), plan)

    def run_whole(self, compact_model: nn.Module) -> None:
        """Where only parts were traced: the code between them must bear the cut.

        Raises:
            ChannelError: it does not.
        """
        if self.exported.whole is not None:
            small = private_copy(compact_model, self.dtype)
            try:
                compact_outputs(small, copy.deepcopy(self.exported.whole))
            except ForwardError as error:
                raise ChannelError(
                    f'{error}; only parts of this network can be traced, and the code between '
                    'them does not bear the cut: name the modules whose outputs must stay in keep'
                ) from error

    @property
    def dtype(self) -> torch.dtype:
        """Type in which this network is verified: float64 where it bears it, else float32."""
        return self.exported.dtype

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of producers that can be cut, and all of them."""
        free = producer_channels(self.groups)
        return free, free + sum(frozen.channels for frozen in self.frozen)

    def __str__(self) -> str:
        free, total = self.channels
        cost = self.cost()
        lines = [f'{free} of {total} channels in {len(self.groups)} groups; {cost}']
        lines += [f'  {group}' for group in self.groups]
        lines += [f'  frozen  {frozen}' for frozen in self.frozen]
        return '\n'.join(lines)

    # -- trial ------------------------------------------------------------------------------

    def _settle(self) -> None:
        dense = shaken(self.exported.model, seed=0)
        tolerance = TRIAL_TOLERANCE[self.exported.dtype]

        def check(groups: Sequence[Group], seed: int = 0) -> Problem | None:
            masks = trial_masks(self.groups, seed)
            plan = self.plan({group.name: masks[group.name] for group in groups})
            return problem_of(lambda: self._error(dense, cut_copy(dense, plan), plan), tolerance)

        def rescue(accepted: Sequence[Group], group: Group) -> bool:
            before = self._edits
            possible = self._possible_edits(group)
            for edits in [possible, *([edit] for edit in possible)]:
                self._edits = [*before, *edits]
                if edits and check([*accepted, group]) is None:
                    return True
            self._edits = before
            return False

        if check(self.groups) is None:
            return
        if self._literals:
            # One guess for all of them at once, before each is looked at alone.
            self._edits = find_edits(self.exported.model, self._literals)
            if self._edits and check(self.groups) is None:
                return
            self._edits = []
        if self._in_multiples(check):
            return
        accepted, failed = settle(self.groups, check, rescue)
        for group in self.groups:
            if group.name in failed:
                count = sum(group.members[slot].numel() for slot in group.producers)
                self.frozen.append(Frozen(group.name, count, failed[group.name]))
        self.groups = [group for group in self.groups if group in accepted]

    def _in_multiples(self, check: Callable[[Sequence[Group], int], Problem | None]) -> bool:
        """Tie channels until the forward bears the cut, if that is what it takes.

        Where it was, other counts are tried too: some pass by luck.
        """
        walk, wanted = self._walk, dict[type[nn.Module], int]()
        before = walk.space
        walk.space = before.copy()
        for seed in range(TRIALS):
            while (problem := check(self.groups, seed)) is not None:
                kind = kind_of(self.exported.model, problem.module)
                if kind is not None:
                    wanted[kind] = 2 * wanted.get(kind, 1)
                if (
                    kind is None or wanted[kind] > MOST
                    or not tie_multiples(walk, self._values, self.groups, kind, wanted[kind])
                ):
                    walk.space = before
                    self._sort()
                    return False
                self._sort()
        return True

    def _possible_edits(self, group: Group) -> list[Edit]:
        """Attributes that may have to follow the group's channels and do not yet."""
        cut = torch.zeros(len(self._walk.space), dtype=torch.bool)
        cut[group.classes] = True
        literals = [literal for literal in self._literals if bool(cut[literal.ids].any())]
        done = {edit.place for edit in self._edits}
        edits = find_edits(self.exported.model, literals)
        return [edit for edit in edits if edit.place not in done]

    def _error(self, dense: nn.Module, small: nn.Module, plan: PruningPlan) -> float:
        reference = masked_outputs(self._walk, self._values, plan, dense)
        return relative_error(
            reference, compact_outputs(small, copy.deepcopy(self.exported.example))
        )

    def _attributes(self, dead: Tensor) -> dict[str, dict[str, Any]]:
        attributes = edited_attributes(self.exported.model, self._edits, ~dead)
        for count in self._walk.counts:
            alive = ~dead[self._walk.space.canonical(count.ids)]
            if not bool(alive.all()):
                path = count.parameter.rpartition('.')[0]
                value = int(alive.sum()) // count.each
                attributes.setdefault(path, {})[count.attribute] = value
        return attributes


def _freeze_outputs(walk: IdWalk) -> None:
    output = next(n for n in walk.exported.graph_module.graph.nodes if n.op == 'output')
    for node in output.all_input_nodes:
        for ids in walk.leaves(node):
            walk.space.freeze(ids, 'reaches an output of the network')


def _freeze_module(walk: IdWalk, path: str) -> None:
    """Freeze what leaves the module ``path``: nodes inside it that are used outside."""

    def inside(node: Node) -> bool:
        return any(where == path or where.startswith(f'{path}.') for where in module_paths(node))

    names = dict(walk.exported.model.named_modules(remove_duplicate=False))
    if path not in names:
        raise ChannelError(f'keep names "{path}", which is no module of this network')
    for node in walk.exported.graph_module.graph.nodes:
        if inside(node) and any(not inside(user) for user in node.users):
            for leaf in pytree.tree_leaves(walk.values.get(node)):
                if isinstance(leaf, Tensor):
                    walk.space.freeze(walk.space.canonical(leaf), f'kept on request ({path})')
