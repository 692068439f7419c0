# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All levels of a ladder, loaded and warm."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable

import numpy as np

from ..ladder import Ladder, Level
from .engines.base import Engine, EngineError
from .engines.interface import check_interface
from .engines.onnx_runtime import OnnxRuntimeEngine

Progress = Callable[[int, int, str], None]
EngineFactory = Callable[[Ladder, Level], Engine]

WARM_UP_RUNS = 10
SETTLE_RUNS = 3  # the first runs allocate and fill caches; they are not measured

log = logging.getLogger(__name__)


class NoUsableLevel(RuntimeError):  # noqa: N818, it says what is
    """Every level is broken. One line with every reason."""


def onnx_runtime_factory(threads: int = 0) -> EngineFactory:
    """Engines on the CPU from each level's ``model.onnx``."""

    def make(ladder: Ladder, level: Level) -> Engine:
        return OnnxRuntimeEngine(ladder.file(level), threads=threads)

    return make


class LevelBank:
    """The engines of a ladder, one per level, all resident.

    Changing the level is choosing another engine of the bank: nothing is loaded in flight.

    Attributes:
        ladder: the ladder.
        latency_ms: per level, p50 of an inference measured at warm-up; nan where it failed.
        failures: level index -> why it is not usable.
    """

    def __init__(self, ladder: Ladder, engine_factory: EngineFactory) -> None:
        self.ladder = ladder
        self.latency_ms: list[float] = [float('nan')] * len(ladder.levels)
        self.failures: dict[int, str] = {}
        self._factory = engine_factory
        self._engines: list[Engine | None] = [None] * len(ladder.levels)

    def load(self, progress: Progress | None = None) -> None:
        """Load and warm up all levels; those that do not work are marked and skipped.

        Raises:
            NoUsableLevel: none works.
        """
        self.failures.clear()
        total = len(self.ladder.levels)
        for index, level in enumerate(self.ladder.levels):
            try:
                self._load_one(index, level)
                text = f'level {level.name}: warm, {self.latency_ms[index]:.1f} ms'
            except Exception as error:  # a broken engine library may raise anything
                self.mark_failed(index, _reason(error))
                text = f'level {level.name}: not usable: {self.failures[index]}'
            if progress is not None:
                progress(index + 1, total, text)
        if not self.usable:
            self.close()
            raise NoUsableLevel(f'{self.ladder.folder}: no usable level: {self.reasons()}')

    @property
    def usable(self) -> tuple[int, ...]:
        """Indices of the levels that work, heaviest first."""
        return tuple(i for i, engine in enumerate(self._engines) if engine is not None)

    def infer(self, index: int, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run a level.

        Raises:
            EngineError: whatever went wrong; the caller marks the level.
        """
        engine = self._engines[index]
        if engine is None:
            raise EngineError(self.failures.get(index, 'not loaded'))
        try:
            return engine.infer(tensor)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f'{engine.name}: {_reason(error)}') from error

    def mark_failed(self, index: int, reason: str) -> None:
        """Take a level out of use and free its engine."""
        self.failures[index] = reason
        log.error('level %s is out of use: %s', self.ladder.levels[index].name, reason)
        self._close_one(index)

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
            self._close_one(index)

    def _load_one(self, index: int, level: Level) -> None:
        engine = self._factory(self.ladder, level)
        self._engines[index] = engine
        engine.load()
        check_interface(engine, self.ladder)
        engine.warm_up(SETTLE_RUNS)
        self.latency_ms[index] = statistics.median(engine.warm_up(WARM_UP_RUNS))

    def _close_one(self, index: int) -> None:
        engine, self._engines[index] = self._engines[index], None
        if engine is None:
            return
        try:
            engine.close()
        except Exception:
            log.exception('engine %s of level %d does not close', engine.name, index)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
