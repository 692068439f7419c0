# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One slot between camera and worker: the newest frame wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """Holds at most one item; thread-safe.

    ``on_put(replaced)`` and ``on_take()`` are called while the slot is locked, in the order in
    which things happen, so that a counter kept by them is exact at every moment. They must not
    call the mailbox.
    """

    def __init__(
        self,
        on_put: Callable[[bool], None] | None = None,
        on_take: Callable[[], None] | None = None,
    ) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._on_put = on_put or (lambda replaced: None)
        self._on_take = on_take or (lambda: None)

    def put(self, item: T) -> bool:
        """Leave an item; whether it replaced one that nobody had taken.

        Raises:
            MailboxClosed: `close` was called.
        """
        with self._condition:
            if self._closed:
                raise MailboxClosed
            replaced = self._item is not None
            self._item = item
            self._on_put(replaced)
            self._condition.notify()
        return replaced

    def get(self, timeout: float | None = None) -> T | None:
        """Take the item, waiting up to ``timeout`` seconds; None when none came or closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout)
            if self._closed:
                return None
            item, self._item = self._item, None
            if item is not None:
                self._on_take()
            return item

    def close(self) -> T | None:
        """Wake everybody and refuse more; the item nobody took, if any (counted as taken)."""
        with self._condition:
            self._closed = True
            item, self._item = self._item, None
            if item is not None:
                self._on_take()
            self._condition.notify_all()
            return item


class MailboxClosed(RuntimeError):  # noqa: N818, it says what is
    """An item was put into a closed mailbox."""
