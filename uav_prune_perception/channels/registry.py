# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which rule follows which operator, and which operators are one inside another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RULES: dict[str, Callable[..., Any]] = {}
"""``aten.relu`` -> its rule; filled by `walk.rule`."""

IN_PLACE = (
    'relu_ relu6_ silu_ hardswish_ hardsigmoid_ hardtanh_ leaky_relu_ elu_ selu_ celu_ mish_ '
    'sigmoid_ tanh_ gelu_ clamp_ clamp_min_ add_ sub_ mul_ div_ dropout_ feature_dropout_'
)
CHANGES_WHOLE = {f'aten.{name}' for name in IN_PLACE.split()}
"""In-place operators that a rule can read as their ordinary form."""


def rule_of(operator: str) -> Callable[..., Any] | None:
    """The rule for an operator, if there is one."""
    return RULES.get(operator.removesuffix('_') if operator in CHANGES_WHOLE else operator)
