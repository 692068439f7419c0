# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from uav_prune_perception.onboard.fault_log import AGAIN_S, LINES_S, MOST_LINES, FaultLog


class Minute:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Minute:
    return Minute()


def test_a_lasting_fault_is_said_once_and_again_after_a_pause(clock):
    log = FaultLog(clock)
    said = []
    for _ in range(10_000):
        said.append(log.line('no pixels'))
        clock.now += 1 / 30
    assert [text for text in said if text] == ['no pixels']
    clock.now += AGAIN_S
    assert log.line('no pixels') == 'no pixels'


def test_faults_that_take_turns_are_each_said_once(clock):
    log = FaultLog(clock)
    said = []
    for number in range(1000):
        said.append(log.line(('short data', 'unknown encoding')[number % 2]))
        clock.now += 1 / 60
    assert [text for text in said if text] == ['short data', 'unknown encoding']


def test_faults_that_differ_every_time_are_counted(clock):
    log = FaultLog(clock)
    said = []
    for number in range(1800):  # a minute
        said.append(log.line(f'data has {number} bytes'))
        clock.now += 1 / 30
    lines = [text for text in said if text]
    assert len(lines) <= MOST_LINES * (1 + 60 / LINES_S)
    left_out = int(lines[MOST_LINES].split(' (and ')[1].split()[0])
    assert left_out == pytest.approx(LINES_S * 30 - MOST_LINES, abs=1)
    assert len(log._seen) < 100
