# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which levels are in memory: where it is short, where a load fails, is slow, or finds no file."""

from __future__ import annotations

import logging
import math
import threading
import time

import numpy as np
import pytest
import tiny_ladder

from uav_prune_perception.onboard import Frame, Pipeline, PipelineOptions
from uav_prune_perception.onboard.level_bank import LevelBank, NotResident
from uav_prune_perception.onboard.level_loader import LevelLoader
from uav_prune_perception.onboard.memory import available_bytes, resident_bytes
from uav_prune_perception.onboard.policy.base import DEADLINE, HOLD, Decision

NAMES = ('100', '50', '25', '12')
PLENTY = 1e12


class StubEngine:
    """Answers at once; what happens at load is the test's."""

    name = 'stub'
    input_names, input_shapes = ('images',), ((1, 3, 64, 64),)
    input_dtypes = (np.dtype(np.float32),)
    output_names, output_shapes = ('predictions',), ((1, 8, 64),)

    def __init__(self, level, on_load):
        self.level, self._on_load, self.closed = level, on_load, False

    def load(self):
        self._on_load(self.level)

    def warm_up(self, runs):
        return [1.0] * runs

    def infer(self, tensor):
        assert not self.closed, 'an engine was closed while it was needed'
        return {'predictions': np.zeros((1, 8, 64), np.float32)}

    def close(self):
        self.closed = True


class Chosen:
    """A policy that does as the test says."""

    def __init__(self):
        self.level = 0

    def decide(self, observation):
        usable = observation.levels[self.level].usable
        level = self.level if usable else observation.active
        return Decision(level, DEADLINE if usable else HOLD, 'the test wants it')


@pytest.fixture
def ladder(tmp_path):
    return tiny_ladder.make_detection_ladder(tmp_path / 'l', 4, 64, 64)


def bank_of(ladder, resident='auto', available=PLENTY, on_load=lambda name: None):
    return LevelBank(
        ladder, lambda ladder, level: StubEngine(level.name, on_load), resident,
        lambda: available)


def names(bank):
    return [NAMES[i] for i in bank.usable]


def until(true, what, limit_s=5.0):
    limit = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < limit, f'waited in vain for: {what}'
        time.sleep(0.005)


@pytest.mark.parametrize(
    ('resident', 'available', 'expected', 'mode'),
    [
        ('auto', PLENTY, ['100', '50', '25', '12'], 'all'),
        ('auto', math.nan, ['100', '50', '25', '12'], 'all'),
        ('auto', 1000.0, ['100', '50', '12'], 'neighbours'),
        ('all', 1000.0, ['100', '50', '25', '12'], 'all'),
        ('neighbours', PLENTY, ['100', '50', '12'], 'neighbours'),
    ],
)
def test_all_levels_are_kept_where_there_is_room(ladder, resident, available, expected, mode):
    bank = bank_of(ladder, resident, available)
    bank.load()
    assert (names(bank), bank.resident, bank.failures) == (expected, mode, {})


def test_no_memory_at_load_keeps_what_fits_and_blames_no_level(ladder):
    loaded = []

    def on_load(name):
        if len(loaded) == 2:
            raise MemoryError('std::bad_alloc')
        loaded.append(name)

    bank = bank_of(ladder, 'auto', PLENTY, on_load)
    said = []
    bank.load(lambda done, total, text: said.append(text))
    assert (names(bank), bank.resident, bank.failures) == (['100', '12'], 'neighbours', {})
    assert any('no memory for it now' in text for text in said)
    with pytest.raises(NotResident):
        bank.infer(2, np.zeros((1, 3, 64, 64), np.float32))


def test_the_loader_follows_the_running_level_and_makes_room_first(ladder, monkeypatch):
    monkeypatch.setattr('uav_prune_perception.onboard.level_loader.DROP_AFTER_S', 0.0)
    bank = bank_of(ladder, 'neighbours')
    bank.load()
    loader = LevelLoader(bank)
    loader.start()
    try:
        loader.want(3)
        until(lambda: names(bank) == ['25', '12'], 'the lightest and the one above')
        loader.want(2, asked=0)
        until(lambda: names(bank) == ['100', '50', '25', '12'], 'what was asked for')
        bank.mark_failed(1, 'broken')
        loader.want(0)
        until(lambda: names(bank) == ['100', '25', '12'], 'the next sound neighbour')
    finally:
        loader.stop()


def test_a_slow_load_holds_up_no_frame_and_is_not_chosen_before_it_is_warm(ladder):
    may_load, loading = threading.Event(), threading.Event()

    def on_load(name):
        if name == '25':
            loading.set()
            assert may_load.wait(10)

    policy, results = Chosen(), []
    pipeline = Pipeline(
        ladder, policy=policy, on_result=results.append,
        options=PipelineOptions(resident='neighbours', control_period_s=0),
        engine_factory=lambda ladder, level: StubEngine(level.name, on_load),
    )
    pipeline.load()
    pipeline.start()
    try:
        policy.level = 1
        pipeline.control()
        assert pipeline.level.name == '50'
        assert loading.wait(5)
        policy.level = 2
        for _ in range(20):
            before = len(results)
            pipeline.submit(Frame(np.zeros((64, 64, 3), np.uint8), 'rgb', time.time()))
            until(lambda before=before: len(results) > before, 'a result while a level loads', 1.0)
            assert pipeline.control().name == '50'
        assert pipeline.health.not_in_memory == ('25',)
        may_load.set()
        until(lambda: pipeline.control().name == '25', 'the level, once it is warm')
        statistics = pipeline.statistics()
        assert (statistics.processed, statistics.failed, statistics.replaced) == (20, 0, 0)
    finally:
        may_load.set()
        pipeline.close()


def test_a_level_whose_file_is_gone_is_said_once_and_left_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr('uav_prune_perception.onboard.level_loader.DROP_AFTER_S', 0.0)
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'l', 4, 64, 64)
    policy = Chosen()
    pipeline = Pipeline(
        ladder, policy=policy, on_result=lambda result: None,
        options=PipelineOptions(resident='neighbours', threads=1, control_period_s=0),
    )
    pipeline.load()
    try:
        ladder.file(ladder.levels[2]).unlink()
        with caplog.at_level(logging.ERROR):
            policy.level = 1
            pipeline.control()
            until(lambda: '25' in pipeline.health.failed, 'the failure')
            for _ in range(5):
                pipeline.control()
            pipeline.force_level('100')
            assert [r for r in caplog.records if '25 is out of use' in r.message].__len__() == 1
        assert pipeline.health.ok
        assert pipeline.level.name == '100'
        policy.level = 3
        pipeline.force_level(None)
        assert pipeline.control().name == '12'
    finally:
        pipeline.close()


def test_a_forced_level_that_is_not_in_memory_comes_without_a_gap(ladder):
    pipeline = Pipeline(
        ladder, policy=Chosen(), on_result=lambda result: None,
        options=PipelineOptions(resident='neighbours', control_period_s=0),
        engine_factory=lambda ladder, level: StubEngine(level.name, lambda name: None),
    )
    pipeline.load()
    try:
        pipeline.force_level('25')
        assert pipeline.level.name in ('100', '25')
        until(lambda: pipeline.control().name == '25', 'the forced level')
        assert pipeline.level.forced
    finally:
        pipeline.close()


def test_when_the_last_one_in_memory_breaks_the_next_is_brought(ladder):
    pipeline = Pipeline(
        ladder, policy=Chosen(), on_result=lambda result: None,
        options=PipelineOptions(resident='neighbours', control_period_s=0),
        engine_factory=lambda ladder, level: StubEngine(level.name, lambda name: None),
    )
    pipeline.load()
    try:
        for index in (0, 1, 3):
            pipeline._levels.engine_failed(index, 'broken')
        assert pipeline.health.ok
        until(lambda: pipeline.control().name == '25', 'the level that was not in memory')
        pipeline._levels.engine_failed(2, 'broken')
        assert not pipeline.health.ok
    finally:
        pipeline.close()


def test_memory_is_that_of_the_container_where_it_has_less(tmp_path):
    (tmp_path / 'proc').mkdir()
    assert math.isnan(available_bytes(tmp_path))
    (tmp_path / 'proc/meminfo').write_text('MemTotal: 9 kB\nMemAvailable:    2000 kB\n')
    assert available_bytes(tmp_path) == 2000 * 1024
    group = tmp_path / 'sys/fs/cgroup'
    group.mkdir(parents=True)
    (group / 'memory.max').write_text('max\n')
    (group / 'memory.current').write_text('500000\n')
    assert available_bytes(tmp_path) == 2000 * 1024
    (group / 'memory.max').write_text('1500000\n')
    assert available_bytes(tmp_path) == 1_000_000
    (group / 'memory.stat').write_text('anon 100000\ninactive_file 300000\nfile_dirty 0\n')
    assert available_bytes(tmp_path) == 1_300_000, 'the kernel gives read files up first'
    assert resident_bytes() > 1e6
