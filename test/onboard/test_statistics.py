# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import threading

import pytest

from uav_prune_perception.onboard.results import Timings
from uav_prune_perception.onboard.statistics import Percentiles, Statistics

TIMINGS = Timings(1.0, 0.0, 2.0, 3.0, 4.0, 9.0)


def balanced(s) -> bool:
    out = s.processed + s.replaced + s.stale + s.failed
    return s.received == out + s.waiting + s.in_work


def test_every_way_of_a_frame_is_counted_once():
    statistics = Statistics(['a'])
    steps = [
        lambda: statistics.put(False), lambda: statistics.put(True), statistics.taken,
        lambda: statistics.put(False), lambda: statistics.processed('a', TIMINGS, 0.05),
        statistics.taken, statistics.stale, lambda: statistics.put(False), statistics.taken,
        lambda: statistics.failed('broken'), lambda: statistics.rejected('garbage'),
    ]
    for step in steps:
        step()
        assert balanced(statistics.snapshot())
    s = statistics.snapshot()
    assert (s.received, s.processed, s.replaced, s.stale, s.failed) == (5, 1, 1, 1, 2)
    assert (s.waiting, s.in_work) == (0, 0)
    assert s.last_failure == 'garbage'
    assert s.level_frames == {'a': 1}


def test_the_sum_holds_at_every_moment_between_threads():
    statistics, stop = Statistics(['a']), threading.Event()
    faults = []

    def watch():
        while not stop.is_set():
            if not balanced(statistics.snapshot()):
                faults.append(statistics.snapshot())

    def work(seed):
        for i in range(1500):
            statistics.put(False)
            statistics.taken()
            if (i + seed) % 3:
                statistics.processed('a', TIMINGS, math.nan)
            else:
                statistics.stale()

    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    watcher.start()
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    assert not faults
    assert statistics.snapshot().received == 4500


def test_percentiles_leave_out_what_is_unknown():
    p = Percentiles.of([math.nan, *range(1, 102)])
    assert (p.n, p.mean, p.p50, p.p95, p.p99) == (101, 51, 51, 96, 100)
    none = Percentiles.of([math.nan])
    assert none.n == 0
    assert math.isnan(none.p95)


def test_stage_times_and_age_are_reported_in_milliseconds():
    statistics = Statistics(['a'])
    statistics.put(False)
    statistics.taken()
    statistics.processed('a', TIMINGS, 0.05)
    s = statistics.snapshot()
    assert s.stages_ms['inference'].p50 == 3.0
    assert s.stages_ms['total'].p95 == 9.0
    assert s.age_ms.p50 == pytest.approx(50.0)


def test_the_time_in_a_level_runs_only_while_the_pipeline_runs():
    now = [100.0]
    statistics = Statistics(['a', 'b'], clock=lambda: now[0])
    statistics.level('a')
    now[0] = 200.0
    statistics.running(True)
    now[0] = 203.0
    statistics.level('b')
    now[0] = 204.5
    assert statistics.snapshot().level_time_s == {'a': 3.0, 'b': 1.5}
    statistics.running(False)
    now[0] = 300.0
    s = statistics.snapshot()
    assert s.level_time_s == {'a': 3.0, 'b': 1.5}
    assert s.switches == 1


def test_cameras_are_counted_apart_and_summed():
    statistics = Statistics(['a'], cameras=('front', 'down'))
    for camera in ('front', 'front', 'down'):
        statistics.put(False, camera)
        statistics.taken(camera)
    statistics.processed('a', TIMINGS, 0.05, 'front')
    statistics.failed('broken', 'front')
    statistics.stale('down')
    statistics.skip('down')
    s = statistics.snapshot()
    assert (s.received, s.processed, s.failed, s.stale, s.skipped) == (4, 1, 1, 1, 1)
    front, down = s.cameras['front'], s.cameras['down']
    assert (front.received, front.processed, front.failed) == (2, 1, 1)
    assert front.last_failure == 'broken'
    assert (down.received, down.stale, down.skipped, down.last_failure) == (2, 1, 1, '')
    assert front.age_ms.p50 == pytest.approx(50.0)
    assert down.age_ms.n == 0
