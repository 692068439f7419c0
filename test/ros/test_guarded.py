# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A broken callback is logged and survived."""

from __future__ import annotations

from uav_prune_perception.ros.guarded import guarded


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, text: str) -> None:
        self.errors.append(text)


def test_what_is_raised_is_logged_once_in_a_row():
    log, faults = Log(), iter([ValueError('a'), ValueError('a'), None, KeyError('b')])
    done = []

    def callback(message: str) -> None:
        fault = next(faults)
        if fault is not None:
            raise fault
        done.append(message)

    call = guarded(callback, log)
    for number in range(4):
        call(f'message {number}')
    assert done == ['message 2']
    assert [text.splitlines()[-1] for text in log.errors] == ['ValueError: a', "KeyError: 'b'"]
