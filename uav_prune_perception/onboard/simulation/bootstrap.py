# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Paired bootstrap: is one policy better than another on the same flights?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 10_000


@dataclass(frozen=True)
class Comparison:
    """Mean difference (first minus second) with its confidence interval."""

    difference: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """The whole interval is above 0."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """The whole interval is below 0."""
        return self.high < 0


def compare(
    first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two policies by a figure of the same seeds.

    Raises:
        ValueError: not as many of one as of the other, or none.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f'cannot pair {len(first)} flights with {len(second)}')
    differences = np.asarray(first, float) - np.asarray(second, float)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(differences), size=(ROUNDS, len(differences)))
    means = differences[draws].mean(axis=1)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(means, (tail, 100.0 - tail))
    return Comparison(float(differences.mean()), float(low), float(high))
