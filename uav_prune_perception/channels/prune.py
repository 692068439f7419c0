# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one-liner: trace, score, cut, prove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .compact import compact
from .cost import Cost
from .errors import ChannelError
from .graph import TOLERANCE, TRIAL_TOLERANCE, ChannelGraph
from .groups import Frozen, by_reason
from .importance import branch_magnitude, magnitude
from .model_tensors import Forward, unwrap
from .plan import PruningPlan


@dataclass(frozen=True)
class PruneReport:
    """What was cut and what it brought.

    Attributes:
        dense: cost before.
        compact: cost after.
        channels: channels of producers that could be cut, and all of them.
        frozen: what stayed whole, with reasons.
        max_error: largest difference to the masked dense network, relative to its output.
        parts: the modules that were traced, where the whole cannot be; costs are theirs.
    """

    dense: Cost
    compact: Cost
    channels: tuple[int, int]
    frozen: tuple[Frozen, ...]
    max_error: float
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        free, total = self.channels
        lines = [
            f'dense    {self.dense}',
            f'compact  {self.compact}  ({1 - self.compact.macs / self.dense.macs:.0%} fewer MACs)',
            f'{free} of {total} channels could be cut; max relative error {self.max_error:.1e}',
        ]
        if self.parts:
            lines.append(
                f'traced and counted: {", ".join(self.parts)}; the code around them is left alone'
            )
        return '\n'.join(lines + [f'  {line}' for line in by_reason(self.frozen)])


@dataclass(frozen=True)
class PruneResult:
    """A compact network, how it was made, and the proof.

    Attributes:
        model: of the user's own class.
        plan: save it with ``plan.save(folder, model)``.
        report: figures and reasons.
        graph: the channel graph of the dense network.
    """

    model: nn.Module
    plan: PruningPlan
    report: PruneReport
    graph: ChannelGraph


def prune(  # noqa: PLR0917 (issue 3 fixes this order)
    model: nn.Module,
    example_inputs: object,
    ratio: float = 0.5,
    importance: str | Mapping[str, Tensor] = 'l1',
    keep: Iterable[str] = (),
    round_to: int | None = None,
    *,
    residual: bool = False,
    forward: Forward | None = None,
) -> PruneResult:
    """Remove a share of the channels of every prunable group, and prove the result.

    Args:
        model: any ``nn.Module``; it is not changed.
        example_inputs: a tensor, a tuple of positional arguments, or {argument name: value}.
        ratio: share of channels removed in each group, 0 <= ratio < 1.
        importance: ``l1``, ``l2``, or your own scores {group name: float [width]}.
        keep: module paths whose outputs must not change.
        round_to: widths become multiples of it; 8 is what engines compute fast.
        residual: branches of an addition keep channels of their own (needs ``l1`` or ``l2``).
        forward: ``forward(model, *inputs)`` in place of the model's own, to choose what is
            traced. Where the whole cannot be, the modules that can be are found without it.

    Raises:
        ChannelError: the network cannot be traced, nothing can be cut, or the result does not
            reproduce the masked network.

    Example:
        >>> result = prune(model, torch.randn(1, 3, 224, 224), ratio=0.5)
        >>> print(result.report)
        >>> result.plan.save('pruned', result.model)
        >>> small = load_pruned(lambda: resnet18(), 'pruned')
    """
    if not 0 <= ratio < 1:
        raise ChannelError(f'ratio {ratio} must be at least 0 and below 1')
    graph = ChannelGraph.trace(model, example_inputs, keep, forward=forward)
    if not graph.groups:
        reasons = '; '.join(str(frozen) for frozen in graph.frozen[:3])
        raise ChannelError(f'{type(model).__name__}: nothing can be cut ({reasons})')
    dense = unwrap(model)
    chosen = graph.choose(
        _scores(graph.plain(dense), graph, importance, residual), 1 - ratio, round_to=round_to
    )
    plan = graph.plan(chosen)
    small = compact(dense, plan)
    error, trial = graph.error(small, plan), graph.prove(plan)
    if not (error <= TOLERANCE[graph.dtype] and trial <= TRIAL_TOLERANCE[graph.dtype]):
        raise ChannelError(
            f'{type(dense).__name__}: the compact network differs from the masked one '
            f'(relative error {error:.1e}, with random vectors {trial:.1e}); '
            'please report it with the network'
        )
    graph.run_whole(small)
    report = PruneReport(
        graph.cost(), graph.cost(chosen), graph.channels, tuple(graph.frozen), error,
        graph.exported.parts,
    )
    return PruneResult(small, plan, report, graph)


def _scores(
    model: nn.Module, graph: ChannelGraph, importance: str | Mapping[str, Tensor], residual: bool
) -> Mapping[str, Tensor | Mapping[str, Tensor]]:
    if not isinstance(importance, str):
        return importance
    scores = magnitude(model, graph.groups, importance)
    return {**scores, **(branch_magnitude(model, graph.groups, importance) if residual else {})}
