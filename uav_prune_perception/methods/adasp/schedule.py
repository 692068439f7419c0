# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much is pruned when: the asymptotic schedule of ASFP (He et al., TCYB 2019)."""

from __future__ import annotations

import math
from functools import lru_cache

KNEE = 1 / 8  # of the run, where 3/4 of the target are pruned


@lru_cache
def steepness(knee: float = KNEE) -> float:
    """``k E`` of ``P(e) = a exp(-k e) + b`` through (0, 0), (knee E, 3/4 P) and (E, P).

    With x = exp(-k E) the three points give (1 - x^knee) / (1 - x) = 3/4, solved by bisection;
    11.09 for a knee of 1/8, whatever E and P.
    """
    low, high = 1e-9, 1e3  # the quotient rises from knee to 1
    for _ in range(200):
        middle = (low + high) / 2
        quotient = -math.expm1(-middle * knee) / -math.expm1(-middle)
        low, high = (middle, high) if quotient < 0.75 else (low, middle)
    return high


def asymptotic(done: float, knee: float = KNEE) -> float:
    """Share of the target that is pruned when ``done`` (0..1) of the run is over.

    Exact at its three points: 0 at 0, 3/4 at ``knee``, 1 at 1.
    """
    k = steepness(knee)
    return math.expm1(-k * done) / math.expm1(-k)


def constant(done: float, knee: float = KNEE) -> float:
    """The whole target from the first epoch on (SFP, He et al., IJCAI 2018)."""
    return 1.0


SCHEDULES = {'asymptotic': asymptotic, 'constant': constant}
