# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An iterator that is a few items ahead of whoever reads it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar('T')
END = object()
LOOK_S = 0.2  # how soon the maker notices that nobody reads any more


def ahead(items: Iterable[T], depth: int = 3) -> Iterator[T]:
    """The same items in the same order, made by a thread while the reader works.

    Args:
        items: made one after the other; their maker should let go of the interpreter's lock, as
            decoders of pictures do.
        depth: as many wait at most.

    Raises:
        Whatever ``items`` raises, where it would have been raised.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=LOOK_S)
                return
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((END, None))
        except BaseException as error:  # the reader's to handle
            put((END, error))

    maker = threading.Thread(target=make, name='ahead', daemon=True)
    maker.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item
    finally:
        stopped.set()
        maker.join()
