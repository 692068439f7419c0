# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls that leave a locked section in the order in which they were made."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class OrderedCalls(Generic[T]):
    """Hands values to a callback one after another, never under the caller's lock.

    `add` (quick, may be called under a lock) fixes the order; `deliver` (outside of it) calls.
    While one thread delivers, another one's `deliver` returns at once and leaves its values to
    the first, so a callback may take any lock and may even lead to further `add`.
    """

    def __init__(self, callback: Callable[[T], None]) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._values: deque[T] = deque()
        self._delivering = False

    def add(self, value: T) -> None:
        """Put a value in line."""
        with self._lock:
            self._values.append(value)

    def deliver(self) -> None:
        """Call the callback for everything in line, unless another thread is at it."""
        with self._lock:
            if self._delivering:
                return
            self._delivering = True
        while True:
            with self._lock:
                if not self._values:
                    self._delivering = False
                    return
                value = self._values.popleft()
            self._callback(value)  # must not raise: the owner wraps it
