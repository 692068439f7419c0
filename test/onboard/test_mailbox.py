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
    assert mailbox.close() is None
    thread.join(5)
    assert woken == [None]
    with pytest.raises(MailboxClosed):
        mailbox.put('x')


def test_close_hands_out_what_nobody_took():
    mailbox = Mailbox[str]()
    mailbox.put('left')
    assert mailbox.close() == 'left'
    assert mailbox.get(0) is None
    assert mailbox.close() is None


def test_hooks_see_every_step_in_order():
    steps = []
    mailbox = Mailbox[int](
        on_put=steps.append, on_take=lambda: steps.append('take')
    )
    mailbox.put(1)
    mailbox.put(2)
    mailbox.get(0)
    mailbox.get(0)
    mailbox.put(3)
    mailbox.close()
    assert steps == [False, True, 'take', False, 'take']
