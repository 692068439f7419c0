# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Time by width: whole blocks, never falling, going on beyond what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.export.width_curve import BLOCK, WIDEST, WidthCurve, width_curve

BLOCKS = np.array([2.0, 2.2, 2.9, 3.5] * 4) + np.repeat(3.5 * np.arange(4), 4)


def test_what_lies_within_a_block_costs_the_block() -> None:
    curve = WidthCurve(BLOCKS)
    assert curve(np.array([1.0])) == curve(np.array([8.0]))
    assert curve(np.array([9.0])) == curve(np.array([16.0]))
    assert curve(np.array([0.0])) == 0


def test_it_goes_on_as_it_began() -> None:
    curve = WidthCurve(BLOCKS)
    assert curve(np.array([WIDEST])) == pytest.approx(1)
    assert curve(np.array([2 * WIDEST + BLOCK])) == pytest.approx(2 + 2.0 / 14)


def test_a_wider_one_is_never_cheaper() -> None:
    noisy = BLOCKS.copy()
    noisy[5] = 99.0
    assert (np.diff(WidthCurve(noisy)(np.arange(1.0, 300.0))) >= 0).all()


@pytest.mark.parametrize('kernel', [1, 3])
def test_this_machine_is_measured(kernel: int) -> None:
    curve = width_curve(kernel)
    assert 1 / 16 <= float(curve(np.array([8.0]))[0]) < 0.5
