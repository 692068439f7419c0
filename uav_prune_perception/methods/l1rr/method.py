# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1RR as a composition of slots, and its options in a recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from uav_prune_perception.methods.allocation import Ranking
from uav_prune_perception.methods.interfaces import Budget, Keep, LevelContext, Method, Scores
from uav_prune_perception.methods.recipe import Section

from .attention_hook import AttentionHook
from .attention_probe import AttentionProbe
from .attention_shares import attention_losses
from .ratio_choice import RatioChoice, choose_ratio, silent_at
from .scores import ScaleScores, scale_scores, slot_scores
from .sparsity import SparsityHook, SparsityOptions, Step
from .target_masks import Protect

if TYPE_CHECKING:
    from torch import nn

    from uav_prune_perception.training.fit import FitHook


class L1rrOptions(Section):
    """``prune.options`` of L1RR.

    Sparse training: ``strength`` (lambda_0), ``reweight``, ``dynamic``, ``rise``, ``decay``,
    ``gone`` (share of channels that should go, for the closed loop), ``eps``, ``smoothing``,
    ``shift_factor`` (extra L1 on beta), ``step`` ('gradient': through the optimiser, for long
    runs; 'proximal': a soft threshold after each step, which sparsifies in tens of steps and
    beside any optimiser; see `sparsity`), ``attention_weight`` (eta: adds the feature attention
    loss against the dense network; 0 is off).

    Ratio: ``ratio`` ('budget': the level's cost decides; 'attention': the largest ratio that
    feature attention allows, whatever it costs), ``tau`` (allowed rise of that loss; null: the
    curve's knee), ``shares`` (how a budget is spread over groups: 'attention' by
    `attention_shares`, 'scales' by one threshold over |gamma|), ``protect`` ('worst_class': the
    class that suffers most decides; 'small_objects': likewise, and every object weighs the same
    whatever its size; in sparse training every class then counts the same), ``pictures``
    (labelled training pictures looked at).

    Cut: ``residual`` (residual reconstruction; false: producers of a sum keep the same channels).
    """

    strength: float = Field(default=1e-3, gt=0)
    reweight: bool = True
    dynamic: Literal['ramp', 'closed_loop', 'constant'] = 'ramp'
    rise: float = Field(default=0.1, ge=0, le=1)
    decay: float = Field(default=0.9, ge=0, le=1)
    gone: float = Field(default=0.5, gt=0, lt=1)
    eps: float = Field(default=0.1, gt=0)
    smoothing: float = Field(default=0.5, ge=0, lt=1)
    shift_factor: float = Field(default=0.0, ge=0)
    step: Step = 'gradient'
    attention_weight: float = Field(default=0.0, ge=0)
    ratio: Literal['budget', 'attention'] = 'budget'
    tau: float | None = Field(default=None, ge=0)
    shares: Literal['attention', 'scales'] = 'attention'
    protect: Protect = 'none'
    pictures: int = Field(default=64, ge=1)
    residual: bool = True

    def sparsity(self) -> SparsityOptions:
        """What the penalty needs."""
        return SparsityOptions(
            strength=self.strength, reweight=self.reweight, dynamic=self.dynamic, rise=self.rise,
            decay=self.decay, wanted=self.gone, eps=self.eps, smoothing=self.smoothing,
            shift_factor=self.shift_factor, step=self.step,
        )


def l1rr(options: L1rrOptions) -> Method:
    """L1RR; needs ``train:``, ``sparse:`` and ``finetune:`` in the recipe."""
    score = ScaleScore(options)
    by_attention = options.ratio == 'attention'
    return Method(
        score=score,
        allocator=AttentionRatio(score) if by_attention else None,
        sparse=SparseScales(options.sparsity(), options.attention_weight, options.protect),
        residual=options.residual,
        meets_budget=not by_attention,
    )


@dataclass(frozen=True)
class SparseScales:
    """`SparseTraining`: the penalty, and the feature attention loss where asked."""

    options: SparsityOptions
    attention_weight: float = 0.0
    protect: Protect = 'none'

    def begin(self, context: LevelContext) -> FitHook:
        """See `SparseTraining`."""
        scale_scores(context.model, context.graph, apart=False)  # refuses before the training
        if self.attention_weight == 0:
            return SparsityHook(context.model, self.options)
        return AttentionHook(context, self.options, self.attention_weight, self.protect)


@dataclass
class ScaleScore:
    """`ImportanceScore`: |gamma|, or the price that feature attention sets on it.

    Attributes:
        options: of the method.
        choice: r* of the last level, where it was searched.
    """

    options: L1rrOptions
    choice: RatioChoice | None = field(default=None, init=False)
    _priced: tuple[nn.Module, Scores] | None = field(default=None, init=False)

    def score(self, context: LevelContext) -> Scores:
        """See `ImportanceScore`."""
        options = self.options
        self.choice = None
        if self._priced is not None and self._priced[0] is context.model:
            return self._priced[1]  # of the level before, cut from the same network
        scores = scale_scores(context.model, context.graph, apart=options.residual)
        if options.ratio == 'budget' and options.shares == 'scales':
            return slot_scores(scores)
        probe = AttentionProbe(
            context.model, context.graph, context.task, pictures=options.pictures,
            protect=options.protect, device=context.device,
        )
        if options.ratio == 'budget':
            title = f'{context.level}: feature attention without parts of each group'
            context.reporter.phase(title, len(scores))
            self._priced = context.model, slot_scores(attention_losses(
                scores, probe.loss,
                tell=lambda done: context.reporter.step(done, f'group {done}/{len(scores)}'),
            ))
            return self._priced[1]
        self.choice = choose_ratio(probe, scores, options.tau)
        context.reporter.note(f'{context.level}: {self.choice}')
        return slot_scores(scores)


@dataclass(frozen=True)
class AttentionRatio:
    """`RatioAllocator` of the ratio that feature attention has found; no budget decides."""

    score: ScaleScore

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """See `RatioAllocator`."""
        assert self.score.choice is not None, 'scored before'
        order = Ranking(scores, context.bounds)
        nested: ScaleScores = {}
        for (name, module), values in order.scores.items():
            nested.setdefault(name, {})[module] = values
        gone = silent_at(nested, self.score.choice.ratio)
        return order.keep({
            (name, module): order.fitted((name, module), int((~mask).sum()))
            for name, masks in gone.items() for module, mask in masks.items()
        })
