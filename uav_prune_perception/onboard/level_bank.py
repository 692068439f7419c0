# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines of a ladder: which are in memory and warm, and which are broken."""

from __future__ import annotations

import logging
import math
import statistics
import threading
from collections.abc import Callable, Mapping

import numpy as np

from ..ladder import Ladder
from .engines.base import Engine, EngineError
from .engines.interface import check_interface
from .engines.selection import EngineFactory
from .memory import available_bytes, resident_bytes

Progress = Callable[[int, int, str], None]

WARM_UP_RUNS = 10
SETTLE_RUNS = 3  # the first runs allocate and fill caches; they are not measured
MEMORY_SHARE = 0.5  # of what is available; the rest is for everybody else
BUSY_S = 10.0  # of one inference at most
MODEL_FACTOR = 2.0  # memory over file size, before a level has been measured
ALL, NEIGHBOURS, AUTO = 'all', 'neighbours', 'auto'
RESIDENT = (AUTO, ALL, NEIGHBOURS)

log = logging.getLogger(__name__)


class NoUsableLevel(RuntimeError):  # noqa: N818, it says what is
    """Every level is broken. One line with every reason."""


class NotResident(EngineError):  # noqa: N818, it says what is
    """The level is not in memory (any more): nothing is wrong with it."""


class LevelBank:
    """The engines of a ladder; thread-safe.

    Changing the level is choosing another engine of the bank. A level is usable only while its
    engine is in memory and warm. Either all are, or, where memory is short, the running one, its
    neighbours and the lightest; then `LevelLoader` brings and drops the others off the flight.

    Args:
        ladder: the ladder.
        engine_factory: makes the engine of a level.
        resident: 'all', 'neighbours', or 'auto': all if half of the available memory holds them.
        available: bytes to be had now; nan = unknown.

    Attributes:
        latency_ms: per level, p50 of an inference measured at its last warm-up; nan = never.
        failures: level index -> why it is not usable and will not be tried again.
        no_room: level index -> why there was no memory for it; forgotten as soon as another goes.
        resident: 'all' or 'neighbours' once loaded.
    """

    def __init__(
        self,
        ladder: Ladder,
        engine_factory: EngineFactory,
        resident: str = ALL,
        available: Callable[[], float] = available_bytes,
        damaged: Mapping[str, str] | None = None,
    ) -> None:
        self.ladder = ladder
        self.latency_ms: list[float] = [math.nan] * len(ladder.levels)
        self.failures: dict[int, str] = {}
        self.no_room: dict[int, str] = {}
        self.resident = self._wanted = resident
        self._factory, self._available = engine_factory, available
        self._damaged = dict(damaged or {})
        self._engines: list[Engine | None] = [None] * len(ladder.levels)
        # An engine is closed only between two inferences of its own.
        self._locks = [threading.Lock() for _ in ladder.levels]
        self._measured: tuple[float, float] = (0.0, 0.0)  # file bytes, memory they took

    def load(self, progress: Progress | None = None) -> None:
        """Load and warm up all levels, or those that memory allows; mark what does not work.

        Raises:
            NoUsableLevel: none works.
        """
        self.failures.clear()
        self.no_room.clear()
        self.resident, self._measured = self._wanted, (0.0, 0.0)
        total = len(self.ladder.levels)
        order = [0, *range(total - 1, 0, -1)]  # where memory runs out: heaviest and lightest
        for done, index in enumerate(order if self._wanted != ALL else range(total), 1):
            text = self._take_in(index, done)
            if progress is not None:
                progress(done, total, f'level {self.ladder.levels[index].name}: {text}')
        while not self.usable and self.loadable:  # what was to be there is broken
            index = self.loadable[0]
            self.bring(index)
        if self.resident == AUTO:
            self.resident = ALL
        if not self.usable:
            self.close()
            raise NoUsableLevel(f'{self.ladder.folder}: no usable level: {self.reasons()}')

    @property
    def usable(self) -> tuple[int, ...]:
        """Indices of the levels that are in memory and work, heaviest first."""
        return tuple(i for i, engine in enumerate(self._engines) if engine is not None)

    @property
    def loadable(self) -> tuple[int, ...]:
        """Indices of the levels that are not in memory, but might be brought."""
        return tuple(i for i, engine in enumerate(self._engines)
                     if engine is None and i not in self.failures)

    @property
    def alive(self) -> bool:
        """Whether a level is usable, or may be in a moment."""
        return bool(self.usable or (self.resident == NEIGHBOURS and self.loadable))

    def needed(self, active: int, wanted: int | None = None) -> set[int]:
        """The levels that ought to be in memory while ``active`` runs and ``wanted`` is to come.

        Where not all: the neighbours that are not broken, and the lightest for emergencies.
        """
        out = {*self.failures, *self.no_room}
        sound = [i for i in range(len(self._engines)) if i not in out]
        if self.resident == ALL or not sound:
            return set(sound)
        lighter = [i for i in sound if i > active][:1]
        heavier = [i for i in sound if i < active][-1:]
        asked = [wanted] if wanted is not None and wanted in sound else []
        return {i for i in (active, *lighter, *heavier, sound[-1], *asked) if i in sound}

    def bring(self, index: int) -> bool:
        """Load and warm up one level now, unless it is there; whether it is usable afterwards.

        What fails marks the level; want of memory does not, while others could make room.
        """
        if self._engines[index] is not None:
            return True
        if index in self.failures:
            return False
        try:
            self._load_one(index)
        except Exception as error:  # a broken engine library may raise anything
            if not self._lacks_room(index, error):
                self.mark_failed(index, _reason(error))
            return False
        return True

    def drop(self, index: int, *, wait_s: float = BUSY_S) -> None:
        """Free a level's engine, after the inference that it may be in.

        One that does not come back is left behind, and freed if it ever does.
        """
        if self._engines[index] is None:
            return
        if not self._locks[index].acquire(timeout=wait_s):
            log.warning('level %s: its engine hangs, left behind', self.ladder.levels[index].name)
            self._engines[index] = None
            return
        try:
            self._close_one(index)
        finally:
            self._locks[index].release()

    def infer(self, index: int, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run a level.

        Raises:
            NotResident: it is not in memory now.
            EngineError: whatever else went wrong; the caller marks the level.
        """
        with self._locks[index]:
            engine = self._engines[index]
            if engine is None:
                kind = EngineError if index in self.failures else NotResident
                raise kind(self.failures.get(index, 'not in memory'))
            try:
                return engine.infer(tensor)
            except EngineError:
                raise
            except Exception as error:
                raise EngineError(f'{engine.name}: {_reason(error)}') from error
            finally:
                if self._engines[index] is not engine:  # left behind meanwhile: see `drop`
                    _close(engine, index)

    def mark_failed(self, index: int, reason: str, *, hangs: bool = False) -> None:
        """Take a level out of use and free its engine, unless it ``hangs``."""
        self.failures[index] = reason
        log.error('level %s is out of use: %s', self.ladder.levels[index].name, reason)
        self.drop(index, wait_s=0.0 if hangs else BUSY_S)

    def fallback(self, index: int) -> int | None:
        """The usable level to take instead of ``index``: next lighter, else next heavier."""
        usable = self.usable
        lighter = [i for i in usable if i > index]
        heavier = [i for i in usable if i < index]
        return lighter[0] if lighter else heavier[-1] if heavier else None

    def reasons(self) -> str:
        """All failures in one line."""
        names = [level.name for level in self.ladder.levels]
        return '; '.join(f'{names[i]}: {why}' for i, why in sorted(self.failures.items()))

    def close(self) -> None:
        """Free all engines; may be called twice."""
        for index in range(len(self._engines)):
            self.drop(index)

    def _take_in(self, index: int, done: int) -> str:
        """One level at configuration; what became of it, in words."""
        if self.resident == NEIGHBOURS and index not in self.needed(0):
            return 'loaded when it is needed'
        if self.resident == AUTO and done > 2 and not self._room_for_all():
            self.resident = NEIGHBOURS
            return self._take_in(index, done)
        try:
            self._load_one(index)
        except Exception as error:  # a broken engine library may raise anything
            if self._lacks_room(index, error):
                self.resident = NEIGHBOURS
                return f'no memory for it now ({_reason(error)}): loaded when it is needed'
            self.mark_failed(index, _reason(error))
            return f'not usable: {self.failures[index]}'
        return f'warm, {self.latency_ms[index]:.1f} ms'

    def _lacks_room(self, index: int, error: Exception) -> bool:
        """Whether this is want of memory that another level could make room for; noted once."""
        if self.resident == ALL or not self.usable or not out_of_memory(error):
            return False
        self.no_room[index] = _reason(error)
        log.warning('level %s: no memory for it now: %s', self.ladder.levels[index].name,
                    _reason(error))
        return True

    def _room_for_all(self) -> bool:
        """Whether the levels that are missing fit; by file size, scaled by what was measured."""
        missing = sum(self._file_bytes(index) for index in self.loadable)
        files, taken = self._measured
        factor = max(1.0, taken / files) if files else MODEL_FACTOR
        available = self._available()
        return math.isnan(available) or factor * missing <= MEMORY_SHARE * available

    def _file_bytes(self, index: int) -> int:
        return sum(file.bytes for file in self.ladder.levels[index].files.values())

    def _load_one(self, index: int) -> None:
        """Nobody sees the engine before it is warm."""
        if reason := self._damaged.get(self.ladder.levels[index].name):
            raise EngineError(reason)
        before = resident_bytes()
        engine = self._factory(self.ladder, self.ladder.levels[index])
        try:
            engine.load()
            check_interface(engine, self.ladder)
            engine.warm_up(SETTLE_RUNS)
            latency_ms = statistics.median(engine.warm_up(WARM_UP_RUNS))
        except BaseException:
            _close(engine, index)
            raise
        files, taken = self._measured
        grown = max(0.0, resident_bytes() - before)  # nan counts as nothing
        self._measured = (files + self._file_bytes(index), taken + grown)
        self.latency_ms[index] = latency_ms
        self._engines[index] = engine

    def _close_one(self, index: int) -> None:
        engine, self._engines[index] = self._engines[index], None
        if engine is not None:
            _close(engine, index)
            self.no_room.clear()


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a want of memory rather than a fault of the level."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ('out of memory', 'bad_alloc', 'bad allocation',
                                    'failed to allocate', 'cannot allocate'))


def _close(engine: Engine, index: int) -> None:
    try:
        engine.close()
    except Exception:
        log.exception('engine %s of level %d does not close', engine.name, index)


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
