# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Between cameras and worker: of each camera only the newest frame, and everybody's turn comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """Holds at most one item of each sender; thread-safe.

    Senders are served in the order in which their slots filled. A newer item takes the place of
    its sender's older one and keeps that place in the line, so nobody's burst overtakes anybody,
    and among n senders nobody waits for more than n - 1 others.

    ``on_put(replaced, sender)`` and ``on_take(sender)`` are called while the box is locked, in
    the order in which things happen, so that a counter kept by them is exact at every moment.
    They must not call the mailbox.
    """

    def __init__(
        self,
        on_put: Callable[[bool, str], None] | None = None,
        on_take: Callable[[str], None] | None = None,
    ) -> None:
        self._condition = threading.Condition()
        self._items: dict[str, T] = {}  # in the order in which the slots filled
        self._closed = False
        self._on_put = on_put or (lambda replaced, sender: None)
        self._on_take = on_take or (lambda sender: None)

    def put(self, item: T, sender: str = '') -> bool:
        """Leave an item; whether it replaced one that nobody had taken.

        Raises:
            MailboxClosed: `close` was called.
        """
        with self._condition:
            if self._closed:
                raise MailboxClosed
            replaced = sender in self._items
            self._items[sender] = item  # an existing key keeps its place
            self._on_put(replaced, sender)
            self._condition.notify()
        return replaced

    def get(self, timeout: float | None = None) -> T | None:
        """Take the next item, waiting up to ``timeout`` s; None when none came or closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._items or self._closed, timeout)
            if self._closed or not self._items:
                return None
            return self._take()

    def close(self) -> list[T]:
        """Wake everybody and refuse more; the items nobody took (counted as taken)."""
        with self._condition:
            self._closed = True
            left = []
            while self._items:
                left.append(self._take())
            self._condition.notify_all()
            return left

    def _take(self) -> T:
        sender = next(iter(self._items))
        item = self._items.pop(sender)
        self._on_take(sender)
        return item


class MailboxClosed(RuntimeError):  # noqa: N818, it says what is
    """An item was put into a closed mailbox."""
