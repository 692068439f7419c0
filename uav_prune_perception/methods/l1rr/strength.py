# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The dynamic module: how strong the penalty is while training goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SMALL = 0.01  # of a layer's largest scale: a channel below has gone


@dataclass(frozen=True)
class RampAndDecay:
    """Linear rise over the first part of the run, then a slow linear fall.

    Attributes:
        peak: lambda_0.
        rise: part of the run that the rise takes.
        decay: lambda(t) = lambda_0 (1 - decay t); 0.9 is what public YOLOv5 slimming code uses.
    """

    peak: float
    rise: float = 0.1
    decay: float = 0.9

    def at(self, done: float) -> float:
        """Strength when the part ``done`` (0..1) of the run is over."""
        ramp = min(1.0, done / self.rise) if self.rise > 0 else 1.0
        return self.peak * ramp * (1.0 - self.decay * done)


def closed_loop(factor: float, found: float, wanted: float, step: float = 0.1) -> float:
    """One epoch's correction of the strength: stronger while too few channels have gone.

    Args:
        factor: the correction so far.
        found: share of channels that have gone, see `gone_share`.
        wanted: share of channels that should have gone by now.
        step: relative change, up or down.

    Returns:
        The new correction, within 1/100 to 100.
    """
    changed = factor * ((1.0 + step) if found < wanted else (1.0 - step))
    return min(100.0, max(0.01, changed))


def gone_share(averages: Iterable[Tensor]) -> float:
    """Share of channels whose smoothed scale is below `SMALL` times the layer's largest."""
    gone = torch.cat([values < SMALL * values.max() for values in averages])
    return float(gone.float().mean())
