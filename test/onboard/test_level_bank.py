# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import tiny_ladder

from uav_prune_perception.onboard import LevelBank, NoUsableLevel
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.selection import choose_engines


def bank_of(ladder):
    return LevelBank(ladder, choose_engines(ladder, threads=1))


def test_every_level_is_warm_and_measured(tmp_path):
    bank = bank_of(tiny_ladder.make_detection_ladder(tmp_path / 'l', 3, 64, 64))
    seen = []
    bank.load(lambda done, total, text: seen.append((done, total, text)))
    assert bank.usable == (0, 1, 2)
    assert all(latency > 0 for latency in bank.latency_ms)
    assert [item[:2] for item in seen] == [(1, 3), (2, 3), (3, 3)]
    assert 'level 100: warm' in seen[0][2]
    bank.close()
    assert bank.usable == ()


def test_a_broken_level_is_marked_with_its_reason_and_skipped(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 3, 64, 64, broken=['50'])
    bank = bank_of(ladder)
    seen = []
    bank.load(lambda *item: seen.append(item))
    assert bank.usable == (0, 2)
    assert np.isnan(bank.latency_ms[1])
    assert 'cannot be loaded' in bank.failures[1]
    assert 'level 50: not usable' in seen[1][2]
    with pytest.raises(EngineError, match='cannot be loaded'):
        bank.infer(1, np.zeros((1, 3, 64, 64), np.float32))


def test_no_level_left_is_one_line_with_all_reasons(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 2, 64, 64, broken=['50', '100'])
    with pytest.raises(NoUsableLevel, match=r'100: .*; 50: ') as caught:
        bank_of(ladder).load()
    assert '\n' not in str(caught.value)


def test_fallback_is_the_next_lighter_then_the_next_heavier(tmp_path):
    bank = bank_of(tiny_ladder.make_detection_ladder(tmp_path / 'l', 4, 64, 64))
    bank.load()
    bank.mark_failed(1, 'test')
    assert bank.fallback(1) == 2
    bank.mark_failed(3, 'test')
    bank.mark_failed(2, 'test')
    assert bank.fallback(2) == 0
    bank.mark_failed(0, 'test')
    assert bank.fallback(0) is None
    bank.load()
    assert bank.usable == (0, 1, 2, 3)
    assert not bank.failures


def test_a_factory_that_raises_anything_costs_only_its_level(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 2, 64, 64)
    real = choose_engines(ladder, threads=1)

    def factory(ladder, level):
        if level.name == '100':
            raise OSError('no driver')
        return real(ladder, level)

    bank = LevelBank(ladder, factory)
    bank.load()
    assert bank.usable == (1,)
    assert bank.failures == {0: 'no driver'}
