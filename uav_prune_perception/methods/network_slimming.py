# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Network slimming (Liu et al., ICCV 2017): plain L1 on BatchNorm scales, one global threshold.

The control arm of L1RR: the same machinery with weight 1 for every channel and a constant
strength, no attention, coupled channels keep one common set (a choice has the mean |gamma| of
its producers, which the paper leaves open: it prunes networks whose additions it does not touch).
"""

from __future__ import annotations

from pydantic import Field

from .interfaces import Method
from .l1rr.method import L1rrOptions, ScaleScore, SparseScales
from .recipe import Section


class SlimmingOptions(Section):
    """``prune.options`` of network slimming: ``strength`` is the paper's lambda."""

    strength: float = Field(default=1e-4, gt=0)


def network_slimming(options: SlimmingOptions) -> Method:
    """Network slimming; needs ``train:``, ``sparse:`` and ``finetune:`` in the recipe."""
    plain = L1rrOptions(
        strength=options.strength, reweight=False, dynamic='constant', shares='scales',
        residual=False,
    )
    return Method(score=ScaleScore(plain), sparse=SparseScales(plain.sparsity()))
