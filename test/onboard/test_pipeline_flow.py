# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline tells the policy of frames and rate, and leaves out what the policy says."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager

import pytest
from test_pipeline import Rig

from uav_prune_perception.onboard import make_policy
from uav_prune_perception.onboard.policy import Decision


class Dividing:
    """Asks for every third frame of level 1 and keeps what it sees."""

    def __init__(self):
        self.seen = []

    def decide(self, observation):
        self.seen.append(observation)
        return Decision(1, 'hold', '', every=3)


@contextmanager
def flying(policy):
    rig = Rig(policy=policy)
    with closing(rig.pipeline):
        yield rig


def send(rig, count, pause_s=0.0):
    for _ in range(count):
        rig.submit()
        rig.settle()
        time.sleep(pause_s)


def test_left_out_frames_are_counted_as_skipped():
    with flying(Dividing()) as rig:
        send(rig, 9)
        counters = rig.settle()
        assert (counters.received, counters.processed, counters.skipped) == (9, 3, 6)


def test_policy_sees_each_frame_once_with_its_level():
    policy = Dividing()
    with flying(policy) as rig:
        send(rig, 6)
        rig.pipeline.control()
        rig.pipeline.control()
        before, last = policy.seen[-2:]
        assert [frame.level for frame in before.frames] == [1, 1]
        assert all(frame.total_ms >= frame.inference_ms > 0 for frame in before.frames)
        assert last.frames == ()


def test_rate_counts_all_frames_that_come():
    policy = Dividing()
    with flying(policy) as rig:
        for n in range(21):
            rig.pipeline._levels.flow.admit(time.monotonic() - 1 + n / 20)
        rig.pipeline.control()
        assert policy.seen[-1].input_hz == pytest.approx(20.0, rel=0.1)


def test_a_forced_level_runs_every_frame():
    with flying(Dividing()) as rig:
        rig.pipeline.force_level('25')
        send(rig, 5)
        assert rig.settle().processed == 5


def test_calibrated_policy_steps_down_on_the_frames_of_the_pipeline():
    with flying(make_policy('calibrated', deadline_ms=30.0)) as rig:
        rig.pipeline._bank.latency_ms[:] = [40.0, 10.0, 5.0]  # as if measured at warm-up
        for _ in range(20):  # the clock of a busy test machine is no measure
            rig.pipeline._levels.flow.processed(0, 61.0, 60.0)
        state = rig.pipeline.control()
        # Both lighter levels fit and are equally accurate here: the cheaper one.
        assert (state.name, state.code) == ('25', 'deadline')
        assert 'keeps 30 ms with' in state.reason
