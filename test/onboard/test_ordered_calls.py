# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

from uav_prune_perception.onboard.ordered_calls import OrderedCalls


def test_what_a_callback_adds_comes_after_it_and_not_inside():
    steps = []

    def callback(value):
        steps.append(f'begin {value}')
        if value == 1:
            calls.add(2)
            calls.deliver()
        steps.append(f'end {value}')

    calls = OrderedCalls(callback)
    calls.add(1)
    calls.deliver()
    assert steps == ['begin 1', 'end 1', 'begin 2', 'end 2']


def test_another_thread_neither_waits_nor_overtakes():
    entered, go, seen = threading.Event(), threading.Event(), []

    def callback(value):
        entered.set()
        assert go.wait(5)
        seen.append(value)

    calls = OrderedCalls(callback)
    calls.add('old')
    thread = threading.Thread(target=calls.deliver)
    thread.start()
    assert entered.wait(5)
    calls.add('new')
    calls.deliver()  # returns at once
    assert seen == []
    go.set()
    thread.join(5)
    assert seen == ['old', 'new']
