# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.onboard.simulation import compare


def test_a_small_but_steady_difference_is_seen_through_large_spread():
    spread = np.random.default_rng(0).normal(0.5, 0.2, 10)
    steady = np.random.default_rng(1).normal(0.01, 0.002, 10)
    found = compare(spread + steady, spread)
    assert found.better
    assert found.low < 0.01 < found.high


def test_no_difference_is_none():
    values = np.random.default_rng(0).normal(0.5, 0.2, 10)
    noise = np.random.default_rng(1).normal(0.0, 0.01, 10)
    found = compare(values, values + noise - noise.mean())
    assert not found.better
    assert not found.worse


def test_order_matters():
    assert compare([1.0, 1.1], [2.0, 2.2]).worse


def test_unpaired_is_refused():
    with pytest.raises(ValueError, match='cannot pair 1 flights with 2'):
        compare([1.0], [1.0, 2.0])
