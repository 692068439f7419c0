# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps the running level's neighbours in memory, where not all levels fit."""

from __future__ import annotations

import logging
import threading
import time

from .level_bank import LevelBank

# After a change the former level stays this long: a frame may still be on it.
DROP_AFTER_S = 1.0
JOIN_S = 30.0  # of a load that is under way

log = logging.getLogger(__name__)


class LevelLoader:
    """Brings and drops levels of one bank, off the flight; a level is usable once it is warm."""

    def __init__(self, bank: LevelBank) -> None:
        self._bank = bank
        self._condition = threading.Condition()
        self._active: int | None = None
        self._asked: int | None = None
        self._changed_s = 0.0
        self._ended = False
        self._news = False
        self._thread = threading.Thread(target=self._work, name='level loader', daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the load that is under way; the bank may be closed then."""
        with self._condition:
            self._ended = True
            self._condition.notify()
        self._thread.join(JOIN_S)

    def want(self, active: int, asked: int | None = None) -> None:
        """``active`` runs, and ``asked`` is to come. Returns at once; harmless when repeated."""
        with self._condition:
            if active != self._active:
                self._changed_s = time.monotonic()
            elif asked in (None, self._asked) and self._complete(active, asked):
                return
            self._active, self._asked, self._news = active, asked, True
            self._condition.notify()

    def _complete(self, active: int, asked: int | None) -> bool:
        return self._bank.needed(active, asked) <= set(self._bank.usable)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._news or self._ended)
                if self._ended:
                    return
                self._news = False
                active, asked = self._active, self._asked
            if active is not None:
                self._follow(active, asked)

    def _follow(self, active: int, asked: int | None) -> None:
        """Make it so: first room, then what is missing, the nearest first."""
        bank = self._bank
        while (pause_s := self._changed_s + DROP_AFTER_S - time.monotonic()) > 0:
            with self._condition:
                if self._condition.wait_for(lambda: self._news or self._ended, pause_s):
                    return  # it is another one already
        needed = bank.needed(active, asked)
        for index in set(bank.usable) - needed:
            bank.drop(index)
        missing = needed - set(bank.usable)
        for index in sorted(missing, key=lambda i: (i != asked, abs(i - active))):
            name = bank.ladder.levels[index].name
            start_s = time.monotonic()
            if bank.bring(index):
                log.info('level %s: in memory after %.1f s, warm', name,
                         time.monotonic() - start_s)
            with self._condition:
                if self._ended:
                    return
        if not self._complete(active, asked):  # one was broken: another takes its turn
            with self._condition:
                self._news = True
