# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From a curve of losses over pruning ratios to one ratio."""

from __future__ import annotations

from collections.abc import Sequence

RATIOS = tuple(round(0.05 * step, 2) for step in range(6, 19))  # 0.30, 0.35 ... 0.90


def knee(ratios: Sequence[float], losses: Sequence[float]) -> int:
    """Index of the point farthest below the chord of the curve; the last one of a straight curve.

    Args:
        ratios: ascending, at least two.
        losses: of each ratio.
    """
    span, rise = ratios[-1] - ratios[0], losses[-1] - losses[0]
    below = [
        losses[0] + rise * (ratio - ratios[0]) / span - loss
        for ratio, loss in zip(ratios, losses, strict=True)
    ]
    best = max(range(len(below)), key=lambda index: below[index])
    return best if below[best] > 1e-12 + 1e-6 * abs(rise) else len(ratios) - 1


def best_ratio(
    ratios: Sequence[float], losses: Sequence[float], tau: float | None = None
) -> float:
    """r* = the largest ratio with loss(r) <= loss(0) + tau.

    Args:
        ratios: ascending; the first is 0, where nothing is cut.
        losses: L_FA of each.
        tau: allowed rise; None allows what the curve's knee has.
    """
    allowed = losses[0] + tau if tau is not None else losses[knee(ratios, losses)]
    return max(
        ratio for ratio, loss in zip(ratios, losses, strict=True)
        if loss <= allowed or ratio == ratios[0]
    )
