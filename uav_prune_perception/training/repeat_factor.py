# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of rare classes are shown more often (Gupta et al., LVIS, CVPR 2019, section 5.2).

A class in a share f of the pictures asks for max(1, sqrt(t / f)) showings of each of them, and a
picture is shown as often as the rarest class in it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def repeat_factors(
    labels: Sequence[NDArray[np.int64]], classes: int, threshold: float
) -> NDArray[np.float64]:
    """How often each picture is to be shown, on average.

    Args:
        labels: of the boxes of each picture.
        classes: how many there are.
        threshold: t; of classes in at least this share of the pictures nothing is repeated, so
            that 0 repeats nothing.

    Returns:
        float64 [pictures], each at least 1.
    """
    there = np.zeros((len(labels), classes), bool)
    for index, own in enumerate(labels):
        there[index, own] = True
    share = np.maximum(there.mean(axis=0), 1 / max(len(labels), 1))
    wanted = np.maximum(1.0, np.sqrt(threshold / share))
    return np.where(there, wanted, 1.0).max(axis=1, initial=1.0)


def repeated(factors: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of pictures, each as often as it is to be shown; fractions are left to chance."""
    times = np.floor(factors + rng.random(len(factors))).astype(np.int64)
    return np.repeat(np.arange(len(factors)), times)
