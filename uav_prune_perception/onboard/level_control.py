# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which level runs: the policy's ticks, forced levels, and broken engines."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from ..ladder import Ladder
from .frame_flow import FrameFlow
from .latency_window import LatencyWindow
from .level_bank import NEIGHBOURS, LevelBank
from .level_loader import LevelLoader
from .level_profiles import LevelCost, level_costs
from .ordered_calls import OrderedCalls
from .policy.base import (
    ENGINE_FAILED,
    FORCED,
    INITIAL,
    RELEASED,
    LevelInfo,
    Observation,
    Policy,
)
from .results import Result
from .state import LevelState
from .statistics import Statistics
from .telemetry.snapshot import Telemetry

NONE = LevelState(-1, '', '', '', 'not loaded', 0.0, False)

log = logging.getLogger(__name__)


class UnknownLevel(ValueError):  # noqa: N818, it says what is
    """A level was asked for that the ladder does not have, or that is broken."""


class LevelControl:
    """Owns the running level; thread-safe.

    The level is one reference to an immutable `LevelState`: the worker reads it at the start
    of a frame and keeps it for that frame, so a change always falls between two frames.
    """

    def __init__(
        self,
        ladder: Ladder,
        policy: Policy,
        telemetry: Telemetry,
        statistics: Statistics,
        on_level: Callable[[LevelState], None],
        *,
        profiled: tuple[LevelCost, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock  # of the flight; a replay has its own
        self.state = NONE
        self.last_error = ''
        self.latency = LatencyWindow()
        self.flow = FrameFlow()
        self._ladder = ladder
        self._policy = policy
        self._telemetry = telemetry
        self._statistics = statistics
        self._calls = OrderedCalls(on_level)
        self._lock = threading.RLock()
        self._profiled = profiled or tuple(LevelCost() for _ in ladder.levels)
        self._passes: dict[str, int] = {}
        self._known: tuple[object, tuple[LevelInfo, ...]] = (None, ())
        self._bank: LevelBank | None = None
        self._loader: LevelLoader | None = None
        self._forced: str | None = None
        self.ticked_s = 0.0

    def begin(self, bank: LevelBank) -> None:
        """The bank is loaded: take its first usable level, or the forced one."""
        with self._lock:
            self._bank, self.last_error = bank, ''
            if bank.resident == NEIGHBOURS:
                self._loader = LevelLoader(bank)
                self._loader.start()
            self._change(bank.usable[0], INITIAL, 'heaviest usable level')
            self._obey(bank)
        self._calls.deliver()
        self.tick()

    def end(self) -> None:
        """The bank is about to be closed."""
        with self._lock:
            loader, self._loader = self._loader, None
            self._bank = None
            self.state = NONE
            self.flow.divide(1)
            self._statistics.level('')
        if loader is not None:
            loader.stop()

    def force(self, name: str | None) -> None:
        """Fix the level, or release it with None. Raises UnknownLevel.

        A level that is not in memory is loaded first, off the flight; until then the present
        one runs.
        """
        with self._lock:
            if name is not None:
                index = self._index(name)
                reason = self._bank.failures.get(index) if self._bank else None
                if reason is not None:
                    raise UnknownLevel(f'level "{name}" is not usable: {reason}')
            released = name is None and self._forced is not None
            self._forced = name
            if self._bank is None:
                return
            if name is not None:
                self._obey(self._bank)
            elif released:
                self._change(self.state.index, RELEASED, 'released: the policy decides')
        self._calls.deliver()

    def tick(self) -> LevelState:
        """Ask the policy once, unless a level is forced or none is usable."""
        with self._lock:
            self.ticked_s = self._clock()
            bank = self._bank
            if bank is not None and bank.usable:
                if self.state.index not in bank.usable:  # its engine broke, another has come
                    self._replace_broken(self.state.index)
                if self._forced is not None:
                    self._obey(bank)
                else:
                    self._ask(bank)
            state = self.state
        self._calls.deliver()
        return state

    def frame_done(self, ran: LevelState, result: Result, age_s: float) -> None:
        """Book a processed frame: for the policy, and in the statistics.

        Args:
            ran: `state` as it was when the frame was begun.
            result: of the frame.
            age_s: from the frame's stamp until now.
        """
        camera, timings = result.frame.camera, result.timings
        # What a level costs is measured for one run of the engine; a policy is told what a frame
        # costs, of the camera that needs most runs (tiles).
        self._passes[camera] = result.passes
        self.flow.processed(ran.index, timings.total, timings.inference)
        if ran is self.state:  # not changed meanwhile: the window is of one level
            self.latency.add(self._clock(), timings.total, timings.inference)
        self._statistics.processed(ran.name, timings, age_s, camera, result.passes)

    def engine_failed(self, index: int, reason: str, *, hangs: bool = False) -> None:
        """Take a broken level out of use, and another one in its place if there is any."""
        with self._lock:
            if self._bank is None:
                return
            self._bank.mark_failed(index, reason, hangs=hangs)
            if self.state.index == index:
                self._replace_broken(index)
        self._calls.deliver()

    def _ask(self, bank: LevelBank) -> None:
        try:
            decision = self._policy.decide(self._observe(bank))
        except Exception as error:
            self._policy_failed(f'policy failed: {type(error).__name__}: {error}')
            return
        if decision.level not in bank.usable:
            self._policy_failed(f'policy chose level {decision.level!r}, which is not usable')
            return
        if (decision.level, decision.every) != (self.state.index, self.state.every):
            self._change(decision.level, decision.code, decision.reason, decision.every)

    def _observe(self, bank: LevelBank) -> Observation:
        now = self._clock()
        return Observation(
            now, self.state.index, self._level_infos(bank), self.latency.summary(now),
            self._telemetry.battery(now), self._telemetry.board(now),
            self.flow.take(), self.flow.input_hz(now),
        )

    def _policy_failed(self, reason: str) -> None:
        if reason != self.last_error:  # ten times a second is too often for a log
            log.error('%s; the level stays', reason)
        self.last_error = reason

    def _level_infos(self, bank: LevelBank) -> tuple[LevelInfo, ...]:
        """The levels as a policy sees them; made anew only when something about them changed."""
        passes = max(self._passes.values(), default=1)
        key = (bank.usable, tuple(bank.latency_ms), passes)
        if key != self._known[0]:
            costs = level_costs(self._ladder, self._profiled, bank.latency_ms)
            self._known = key, tuple(
                LevelInfo(
                    index, level.name, level.kept_macs, level.accuracy.value,
                    passes * cost.latency_ms, index in key[0],
                    passes * cost.energy_j,
                )
                for index, (level, cost) in enumerate(
                    zip(self._ladder.levels, costs, strict=True))
            )
        return self._known[1]

    def _obey(self, bank: LevelBank) -> None:
        """Run the forced level, if there is one: at once, or as soon as it is in memory."""
        if self._forced is None:
            return
        name, index = self._forced, self._index(self._forced)
        if index in bank.usable:
            if index != self.state.index or not self.state.forced or self.state.every != 1:
                self._change(index, FORCED, f'{name} was asked for')
        elif index in bank.failures:
            self.last_error = f'level {name} failed: {bank.failures[index]}'
            self._forced = None
            target = bank.fallback(index)
            assert target is not None, 'asked only while a level is usable'
            self._change(target, ENGINE_FAILED, self.last_error)
        elif self._loader is not None:
            self._loader.want(self.state.index, index)

    def _replace_broken(self, index: int) -> None:
        assert self._bank is not None
        bank, name = self._bank, self._ladder.levels[index].name
        if self._forced == name:
            self._forced = None
        target = bank.fallback(index)
        if target is not None:
            self.last_error = f'level {name} failed: {bank.failures.get(index, "not in memory")}'
            self._change(target, ENGINE_FAILED, self.last_error)
        elif bank.loadable and self._loader is not None:
            self.last_error = f'level {name} failed; the next one is being loaded'
            self._loader.want(index)
        else:
            self.last_error = f'no usable level left: {bank.reasons()}'
            log.error(self.last_error)

    def _change(self, index: int, code: str, reason: str, every: int = 1) -> None:
        """Make ``index`` the running level (or renew the reason of the one that runs)."""
        old, name = self.state, self._ladder.levels[index].name
        forced = self._forced is not None
        self.flow.divide(every)
        if index == old.index:
            self.state = dataclasses.replace(
                old, code=code, reason=reason, forced=forced, every=every)
        else:
            now = self._clock()
            self.state = LevelState(index, name, old.name, code, reason, now, forced, every)
            self.latency.clear()
            self._statistics.level(name)
        if self._loader is not None:
            self._loader.want(index)
        log.info('level %s%s: %s', name, f' every {every}.' if every > 1 else '', reason)
        self._calls.add(self.state)

    def _index(self, name: str) -> int:
        names = [level.name for level in self._ladder.levels]
        if name not in names:
            raise UnknownLevel(f'no level "{name}"; there are {", ".join(names)}')
        return names.index(name)
