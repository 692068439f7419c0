# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from uav_prune_perception.onboard.mailbox import Mailbox, MailboxClosed


def test_the_newest_wins():
    mailbox = Mailbox[int]()
    assert mailbox.put(1) is False
    assert mailbox.put(2) is True
    assert mailbox.get(0) == 2
    assert mailbox.get(0) is None
    assert mailbox.put(3) is False


def test_get_waits_for_a_put():
    mailbox = Mailbox[str]()
    threading.Timer(0.05, mailbox.put, ['late']).start()
    assert mailbox.get(5) == 'late'


def test_close_wakes_the_waiting_and_refuses_more():
    mailbox = Mailbox[str]()
    woken = []
    thread = threading.Thread(target=lambda: woken.append(mailbox.get(30)))
    thread.start()
    time.sleep(0.02)
    assert mailbox.close() == []
    thread.join(5)
    assert woken == [None]
    with pytest.raises(MailboxClosed):
        mailbox.put('x')


def test_close_hands_out_what_nobody_took():
    mailbox = Mailbox[str]()
    mailbox.put('left')
    assert mailbox.close() == ['left']
    assert mailbox.get(0) is None
    assert mailbox.close() == []


def test_hooks_see_every_step_in_order():
    steps = []
    mailbox = Mailbox[int](
        on_put=lambda replaced, sender: steps.append(replaced),
        on_take=lambda sender: steps.append('take'),
    )
    mailbox.put(1)
    mailbox.put(2)
    mailbox.get(0)
    mailbox.get(0)
    mailbox.put(3)
    mailbox.close()
    assert steps == [False, True, 'take', False, 'take']


def test_each_sender_has_a_slot_and_keeps_its_place_in_the_line():
    mailbox = Mailbox[str]()
    mailbox.put('a1', 'a')
    mailbox.put('b1', 'b')
    assert mailbox.put('a2', 'a') is True  # newer, but still before b
    assert [mailbox.get(0) for _ in range(3)] == ['a2', 'b1', None]


def test_no_burst_starves_another_sender():
    mailbox = Mailbox[str]()
    served = []
    for _ in range(100):  # a and b in a fixed order and a burst of c before each serving
        mailbox.put('a', 'a')
        mailbox.put('b', 'b')
        for _ in range(50):
            mailbox.put('c', 'c')
        served.append(mailbox.get(0))
    assert {name: served.count(name) for name in 'abc'} == {'a': 34, 'b': 33, 'c': 33}
