# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR as a composition of slots, and its options in a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uav_prune_perception.methods.interfaces import Method
from uav_prune_perception.methods.recipe import Section

from .accuracy_search import AccuracySearch
from .importance import AttentionOptions, DualAttention
from .rates import AdaptiveRates, Rate


class DaarOptions(Section):
    """``prune.options`` of DAAR.

    Scores: ``attention`` ('dual'; 'spatial', 'channel', 'swapped' are ablations), ``boundary``
    and ``boundary_by`` (where shallow ends; null: by the task), ``channel_by`` ('probe' or
    'free'), ``batches`` and ``batch_size`` (pictures looked at), ``probe_epochs``,
    ``probe_batch_size``, ``probe_lr``, ``reduction``, ``strength_power``: see
    `importance.AttentionOptions`.

    Rates: ``rate``, see `rates.AdaptiveRates`. ``mode``: 'budget' meets the level's cost;
    'accuracy' cuts as far as ``allowed_drop`` on val allows (but no farther than the level's
    cost), by trials with the settings of ``search:``, see `accuracy_search.AccuracySearch`.
    """

    attention: Literal['dual', 'spatial', 'channel', 'swapped'] = 'dual'
    boundary: float | None = Field(default=None, ge=0, le=1)
    boundary_by: Literal['resolution', 'depth'] = 'resolution'
    channel_by: Literal['probe', 'free'] = 'probe'
    batches: int = Field(default=5, ge=1)
    batch_size: int = Field(default=128, ge=1)
    probe_epochs: float = Field(default=5.0, gt=0)
    probe_batch_size: int = Field(default=64, ge=1)
    probe_lr: float = Field(default=0.01, gt=0)
    reduction: int = Field(default=16, ge=1)
    strength_power: float = Field(default=0.5, ge=0)
    rate: Rate = 'redundancy'
    mode: Literal['budget', 'accuracy'] = 'budget'
    allowed_drop: float = Field(default=0.005, ge=0, lt=1)
    step: float = Field(default=1.0, gt=0)
    least_step: float = Field(default=0.1, gt=0)
    most_trials: int = Field(default=12, ge=1)

    @model_validator(mode='after')
    def _rate_has_a_threshold(self) -> DaarOptions:
        if self.mode == 'accuracy' and self.rate not in ('redundancy', 'spread'):
            raise ValueError(
                f'rate: mode accuracy moves a threshold on scores, so rate must be redundancy '
                f'or spread, not {self.rate}'
            )
        return self


def daar(options: DaarOptions) -> Method:
    """DAAR; needs ``finetune:`` in the recipe, and ``search:`` in accuracy mode."""
    names = AttentionOptions.__dataclass_fields__
    score = DualAttention(AttentionOptions(**{name: getattr(options, name) for name in names}))
    if options.mode == 'budget':
        return Method(score=score, allocator=AdaptiveRates(options.rate))
    search = AccuracySearch(
        options.rate, options.allowed_drop, options.step, options.least_step, options.most_trials
    )
    return Method(score=score, search=search, meets_budget=False)
