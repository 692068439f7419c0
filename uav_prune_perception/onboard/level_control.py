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
from .level_bank import LevelBank
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
    ) -> None:
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
        self._bank: LevelBank | None = None
        self._forced: str | None = None
        self.ticked_s = 0.0

    def begin(self, bank: LevelBank) -> None:
        """The bank is loaded: take its first usable level, or the forced one."""
        with self._lock:
            self._bank = bank
            first = bank.usable[0]
            self._change(first, INITIAL, 'heaviest usable level')
            if self._forced is not None:
                index = self._index(self._forced)
                if index in bank.usable:
                    self._change(index, FORCED, f'{self._forced} was asked for')
                else:
                    self._replace_broken(index, bank.failures[index])
        self._calls.deliver()
        self.tick()

    def end(self) -> None:
        """The bank is about to be closed."""
        with self._lock:
            self._bank = None
            self.state = NONE
            self.flow.divide(1)
            self._statistics.level('')

    def force(self, name: str | None) -> None:
        """Fix the level, or release it with None. Raises UnknownLevel."""
        with self._lock:
            if name is not None:
                index = self._index(name)
                reason = self._bank.failures.get(index) if self._bank else None
                if reason is not None:
                    raise UnknownLevel(f'level "{name}" is not usable: {reason}')
            released = name is None and self._forced is not None
            self._forced = name
            self.flow.divide(1)  # whoever forces a level wants all of its frames
            if self._bank is None:
                return
            if name is not None:
                self._change(index, FORCED, f'{name} was asked for')
            elif released:
                self._change(self.state.index, RELEASED, 'released: the policy decides')
        self._calls.deliver()

    def tick(self) -> LevelState:
        """Ask the policy once, unless a level is forced or none is usable."""
        with self._lock:
            self.ticked_s = time.monotonic()
            if self._bank is not None and self._forced is None and self._bank.usable:
                self._ask(self._bank)
            state = self.state
        self._calls.deliver()
        return state

    def engine_failed(self, index: int, reason: str) -> None:
        """Take a broken level out of use, and another one in its place if there is any."""
        with self._lock:
            if self._bank is None:
                return
            self._bank.mark_failed(index, reason)
            if self.state.index == index:
                self._replace_broken(index, reason)
        self._calls.deliver()

    def _ask(self, bank: LevelBank) -> None:
        active = self.state.index
        try:
            decision = self._policy.decide(self._observe(bank))
        except Exception as error:
            self._policy_failed(f'policy failed: {type(error).__name__}: {error}')
            return
        if decision.level not in bank.usable:
            self._policy_failed(f'policy chose level {decision.level!r}, which is not usable')
            return
        self.flow.divide(decision.every)
        if decision.level != active:
            self._change(decision.level, decision.code, decision.reason)

    def _observe(self, bank: LevelBank) -> Observation:
        now = time.monotonic()
        usable = bank.usable
        levels = tuple(
            LevelInfo(
                index, level.name, level.kept_macs, level.accuracy.value,
                bank.latency_ms[index], index in usable,
            )
            for index, level in enumerate(self._ladder.levels)
        )
        return Observation(
            now, self.state.index, levels, self.latency.summary(now),
            self._telemetry.battery(now), self._telemetry.board(now),
            self.flow.take(), self.flow.input_hz(now),
        )

    def _policy_failed(self, reason: str) -> None:
        if reason != self.last_error:  # ten times a second is too often for a log
            log.error('%s; the level stays', reason)
        self.last_error = reason

    def _replace_broken(self, index: int, reason: str) -> None:
        assert self._bank is not None
        name = self._ladder.levels[index].name
        self._forced = None
        target = self._bank.fallback(index)
        if target is None:
            self.last_error = f'no usable level left: {self._bank.reasons()}'
            log.error(self.last_error)
            return
        self.last_error = f'level {name} failed: {reason}'
        self._change(target, ENGINE_FAILED, self.last_error)

    def _change(self, index: int, code: str, reason: str) -> None:
        """Make ``index`` the running level (or renew the reason of the one that runs)."""
        old, name = self.state, self._ladder.levels[index].name
        forced = self._forced is not None
        if index == old.index:
            self.state = dataclasses.replace(old, code=code, reason=reason, forced=forced)
        else:
            now = time.monotonic()
            self.state = LevelState(index, name, old.name, code, reason, now, forced)
            self.latency.clear()
            self._statistics.level(name)
        log.info('level %s: %s', name, reason)
        self._calls.add(self.state)

    def _index(self, name: str) -> int:
        names = [level.name for level in self._ladder.levels]
        if name not in names:
            raise UnknownLevel(f'no level "{name}"; there are {", ".join(names)}')
        return names.index(name)
