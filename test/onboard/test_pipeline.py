# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Accounting, threads and levels, on engines that do exactly what a test asks."""

from __future__ import annotations

import logging
import math
import threading
import time

import numpy as np
import pytest

from uav_prune_perception.ladder import Accuracy, BoxesScores, InputSpec, Ladder, Level
from uav_prune_perception.onboard import (
    BatteryState,
    Frame,
    Pipeline,
    PipelineOptions,
    make_policy,
)
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.policy import Decision

IMAGE = np.zeros((16, 16, 3), np.uint8)
QUIET = PipelineOptions(control_period_s=0)


def make_ladder(names=('100', '50', '25')) -> Ladder:
    levels = tuple(
        Level(name, int(name) / 100, int(name), 1, Accuracy('mAP50', 0.5, 's', 1), {})
        for name in names
    )
    return Ladder('l', 'detection', ('thing',), InputSpec(16, 16), BoxesScores(), {}, levels)


class ScriptedEngine:
    """Waits for ``gate``, takes ``ms``, raises ``fault``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.input_names, self.output_names = ('images',), ('predictions',)
        self.input_shapes, self.output_shapes = ((1, 3, 16, 16),), ((1, 5, 4),)
        self.input_dtypes = (np.dtype(np.float32),)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fault: Exception | None = None
        self.ms = 0.0
        self.closed = False

    def load(self) -> None: ...

    def warm_up(self, runs):
        return [10.0] * runs

    def infer(self, tensor):
        self.entered.set()
        assert self.gate.wait(20)
        time.sleep(self.ms / 1e3)
        if self.fault is not None:
            raise self.fault
        return {'predictions': np.zeros((1, 5, 4), np.float32)}

    def close(self):
        self.closed = True


class Rig:
    def __init__(self, policy=None, options=QUIET, now=time.time, on_result=None, on_level=None):
        self.engines: dict[str, ScriptedEngine] = {}
        self.results: list = []
        self.levels: list = []

        def factory(ladder, level):
            return self.engines.setdefault(level.name, ScriptedEngine(level.name))

        self.pipeline = Pipeline(
            make_ladder(), policy=policy or make_policy('static'), options=options,
            on_result=on_result or self.results.append, on_level=on_level or self.levels.append,
            now=now, engine_factory=factory,
        )
        self.pipeline.load()
        self.pipeline.start()

    def submit(self, **fields) -> bool:
        return self.pipeline.submit(Frame(IMAGE, 'rgb', **fields))

    def settle(self):
        """Wait until nothing waits and nothing is in work."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            s = self.pipeline.statistics()
            if s.waiting == 0 and s.in_work == 0:
                return s
            time.sleep(0.002)
        raise AssertionError(f'never settled: {s}')


@pytest.fixture
def rig():
    made: list[Rig] = []

    def make(**arguments) -> Rig:
        made.append(Rig(**arguments))
        return made[-1]

    yield make
    for each in made:
        for engine in each.engines.values():
            engine.gate.set()
        each.pipeline.close()


def counts(s):
    return s.received, s.processed, s.replaced, s.stale, s.failed, s.waiting, s.in_work


def test_while_the_worker_is_busy_the_newest_frame_wins(rig):
    r = rig()
    engine = r.engines['100']
    engine.gate.clear()
    r.submit(tag=0)
    assert engine.entered.wait(5)
    for tag in range(1, 6):
        r.submit(tag=tag)
    assert counts(r.pipeline.statistics()) == (6, 0, 4, 0, 0, 1, 1)
    engine.gate.set()
    r.settle()
    assert [result.frame.tag for result in r.results] == [0, 5]
    assert counts(r.settle()) == (6, 2, 4, 0, 0, 0, 0)


def test_stop_finishes_the_frame_in_work_and_accounts_for_the_waiting_one(rig):
    r = rig()
    engine = r.engines['100']
    engine.gate.clear()
    r.submit(tag=0)
    assert engine.entered.wait(5)
    r.submit(tag=1)
    threading.Timer(0.1, engine.gate.set).start()
    r.pipeline.stop()
    assert counts(r.pipeline.statistics()) == (2, 1, 0, 1, 0, 0, 0)
    assert [result.frame.tag for result in r.results] == [0]
    assert r.submit() is False
    assert r.pipeline.statistics().received == 2
    r.pipeline.start()
    assert r.submit(tag=2) is True
    assert counts(r.settle()) == (3, 2, 0, 1, 0, 0, 0)


def test_frames_older_than_the_limit_are_stale_and_odd_clocks_are_not(rig):
    now = [1000.0]
    r = rig(options=QUIET.replace(max_image_age_s=0.5), now=lambda: now[0])
    for stamp, processed in ((999.6, 1), (999.4, 1), (2000.0, 2), (math.nan, 3), (-5.0, 3)):
        r.submit(stamp_s=stamp)
        assert r.settle().processed == processed
    now[0] = 3.0  # a simulated clock that begins again
    r.submit(stamp_s=1000.0)
    s = r.settle()
    assert (s.processed, s.stale) == (4, 2)
    r.pipeline.configure(QUIET)
    r.submit(stamp_s=-1e9)
    assert r.settle().processed == 5


def test_garbage_is_counted_and_remembered(rig):
    r = rig()
    r.pipeline.reject('step 10 is less than 3 x 640')
    assert counts(r.settle()) == (1, 0, 0, 0, 1, 0, 0)
    assert r.pipeline.health.last_error == 'step 10 is less than 3 x 640'
    r.pipeline.submit(Frame(np.zeros((4, 4), np.uint8), 'rgb'))
    r.pipeline.submit(Frame(None, 'rgb'))
    s = r.settle()
    assert s.processed == 0
    assert s.failed + s.replaced == 3
    assert 'image' in s.last_failure
    assert r.pipeline.health.usable == ('100', '50', '25')  # no engine is to blame
    r.submit()
    assert r.settle().processed == 1


def test_a_callback_that_raises_harms_nobody(rig, caplog):
    def bad(_):
        raise KeyError('mine')

    with caplog.at_level(logging.ERROR):
        r = rig(on_result=bad, on_level=bad)
        for _ in range(3):
            r.submit()
            r.settle()
    s = r.pipeline.statistics()
    assert s.processed == 3
    assert s.callback_errors == 4  # three results, one level
    assert 'on_result raised KeyError' in caplog.text


@pytest.mark.parametrize('fault', [EngineError('cuda died'), MemoryError('no room'), OSError()])
def test_a_failing_engine_is_replaced_lighter_first_then_heavier(rig, fault):
    r = rig(policy=make_policy('static', level='50'))
    assert r.pipeline.level.name == '50'
    for name, follower in (('50', '25'), ('25', '100')):
        r.engines[name].fault = fault
        r.submit()
        r.settle()
        assert r.pipeline.level.name == follower
        assert r.engines[name].closed
    assert r.pipeline.health.usable == ('100',)
    r.submit()
    s = r.settle()
    assert counts(s) == (3, 1, 0, 0, 2, 0, 0)
    assert s.level_frames == {'100': 1, '50': 0, '25': 0}


def test_the_sum_holds_at_every_moment_under_load(rig):
    r = rig()
    r.engines['100'].ms = 1.0
    stop, faults = threading.Event(), []

    def watch():
        while not stop.is_set():
            s = r.pipeline.statistics()
            total = s.processed + s.replaced + s.stale + s.failed + s.waiting + s.in_work
            if s.received != total or not (0 <= s.waiting <= 1 and 0 <= s.in_work <= 1):
                faults.append(s)

    def send():
        for index in range(200):
            if index % 10:
                r.submit()
            else:
                r.pipeline.reject('garbage')
            time.sleep(0.0005)

    watcher, senders = threading.Thread(target=watch), [
        threading.Thread(target=send) for _ in range(3)
    ]
    for thread in (watcher, *senders):
        thread.start()
    for thread in senders:
        thread.join()
    s = r.settle()
    stop.set()
    watcher.join()
    assert not faults
    assert s.received == 600
    assert s.failed == 60
    assert s.replaced > 0
    assert len(r.results) == s.processed


def test_the_policy_sees_latency_of_the_running_level_only_and_telemetry(rig):
    class Recorder:
        def __init__(self):
            self.seen, self.want = [], 0

        def decide(self, observation):
            self.seen.append(observation)
            return Decision(self.want, 'test', 'because')

    policy = Recorder()
    r = rig(policy=policy)
    r.pipeline.telemetry.update_battery(
        BatteryState(fraction=0.4, received_s=time.monotonic())
    )
    r.engines['100'].ms = 20.0
    for _ in range(6):
        r.submit()
        r.settle()
    r.pipeline.control()
    o = policy.seen[-1]
    assert o.active == 0
    assert [level.name for level in o.levels] == ['100', '50', '25']
    assert [level.latency_ms for level in o.levels] == [10.0] * 3
    assert o.latency.frames == 6
    assert o.latency.p95_ms >= o.latency.p50_ms >= o.latency.inference_ms >= 20.0
    assert o.battery.fraction == 0.4
    assert math.isnan(o.board.power_w)
    policy.want = 2
    state = r.pipeline.control()
    assert (state.index, state.name, state.code, state.reason) == (2, '25', 'test', 'because')
    r.pipeline.control()
    assert policy.seen[-1].latency.frames == 0
    assert [s.name for s in r.levels] == ['100', '25']


@pytest.mark.parametrize('answer', [7, -1, 'raise'])
def test_a_policy_that_talks_nonsense_changes_nothing(rig, answer):
    class Nonsense:
        def decide(self, observation):
            if answer == 'raise':
                raise ZeroDivisionError('oh')
            return Decision(answer, 'x', 'y')

    r = rig(policy=Nonsense())
    assert r.pipeline.control().name == '100'
    assert 'policy' in r.pipeline.health.last_error
    r.submit()
    assert r.settle().processed == 1


def test_the_worker_runs_the_policy_itself_when_nobody_else_does(rig):
    r = rig(
        policy=make_policy('hysteresis', deadline_ms=5, min_frames=2),
        options=PipelineOptions(control_period_s=0.01),
    )
    r.engines['100'].ms = 15.0
    for _ in range(10):
        r.submit()
        r.settle()
    assert r.pipeline.level.name != '100'
    assert r.pipeline.level.code == 'deadline'


def test_callbacks_may_call_the_pipeline(rig):
    holder = []

    def on_level(state):
        if holder and state.name == '50':
            holder[0].pipeline.force_level('25')

    r = rig(on_level=on_level)
    holder.append(r)
    r.pipeline.force_level('50')
    assert r.pipeline.level.name == '25'
    r.submit()
    r.settle()
    assert r.results[-1].level == '25'


def test_a_result_callback_may_stop_the_pipeline(rig):
    stopped = threading.Event()

    def on_result(_):
        holder[0].pipeline.stop()
        stopped.set()

    holder = [rig(on_result=on_result)]
    holder[0].submit()
    assert stopped.wait(5)
    assert holder[0].submit() is False
    assert holder[0].pipeline.statistics().processed == 1


def test_close_frees_the_engines_and_load_makes_new_ones(rig):
    r = rig()
    engines = dict(r.engines)
    r.pipeline.close()
    r.pipeline.close()
    assert all(engine.closed for engine in engines.values())
    assert (r.pipeline.level.index, r.pipeline.level.name) == (-1, '')
    assert not r.pipeline.health.ok
    assert r.pipeline.control().index == -1
    r.pipeline.load()
    assert r.pipeline.level.name == '100'


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr('uav_prune_perception.onboard.work_watch.HANG_S', 0.2)
    monkeypatch.setattr('uav_prune_perception.onboard.work_watch.HANG_LOOKS', 3)


def test_an_engine_that_hangs_does_not_hang_stop(rig, impatient):
    r = rig()
    engine = r.engines['100']
    engine.gate.clear()
    r.submit()
    assert engine.entered.wait(5)
    began = time.monotonic()
    r.pipeline.stop()
    assert time.monotonic() - began < 5
    assert 'has not answered' in r.pipeline.health.last_error
    assert r.settle().failed == 1
    engine.gate.set()  # what comes so late counts for nothing
    r.pipeline.start()
    assert r.pipeline.level.name == '50'
    r.submit()
    s = r.settle()
    assert (s.received, s.processed, s.failed, s.in_work_s) == (2, 1, 1, 0.0)
    assert [result.level for result in r.results] == ['50']


def test_in_flight_an_engine_that_hangs_gives_way_to_the_next_level(rig, impatient):
    r = rig()
    engine = r.engines['100']
    engine.gate.clear()
    r.submit()
    assert engine.entered.wait(5)
    assert r.pipeline.statistics().in_work_s > 0
    limit = time.monotonic() + 5
    while r.pipeline.control().name == '100' and time.monotonic() < limit:
        time.sleep(0.05)
    assert 'has not answered' in r.pipeline.health.failed['100']
    r.submit()
    s = r.settle()
    assert (s.received, s.processed, s.failed) == (2, 1, 1)
    engine.gate.set()
    limit = time.monotonic() + 5
    while not engine.closed and time.monotonic() < limit:
        time.sleep(0.01)
    assert engine.closed  # once it came back
    r.submit()
    s = r.settle()
    assert (s.received, s.processed, s.failed, s.in_work) == (3, 2, 1, 0)
    assert [result.level for result in r.results] == ['50', '50']


def test_a_process_that_was_stopped_for_a_while_hangs_nowhere(rig, monkeypatch):
    monkeypatch.setattr('uav_prune_perception.onboard.work_watch.HANG_S', 0.05)
    r = rig()
    engine = r.engines['100']
    engine.gate.clear()
    r.submit()
    assert engine.entered.wait(5)
    time.sleep(0.1)
    assert r.pipeline.control().name == '100'
    engine.gate.set()
    assert r.settle().processed == 1


def test_a_frame_that_a_change_of_level_overtook_says_nothing_about_the_new_level(rig):
    class Recorder:
        seen, want = None, 0

        def decide(self, observation):
            self.seen = observation
            return Decision(self.want, 'test', 'because')

    policy = Recorder()
    r = rig(policy=policy)
    engine = r.engines['100']
    engine.gate.clear()
    r.submit()
    assert engine.entered.wait(5)
    policy.want = 1
    assert r.pipeline.control().name == '50'
    engine.gate.set()
    r.settle()
    r.pipeline.control()
    assert r.results[0].level == '100'
    assert (policy.seen.active, policy.seen.latency.frames) == (1, 0)
