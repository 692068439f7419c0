# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One simulated flight: the pipeline's mailbox and ticks, with a policy at the controls."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..latency_window import FRAMES, MAX_AGE_S
from ..policy.base import FrameTime, LevelInfo, Observation, Policy, RecentLatency
from ..telemetry.snapshot import BatteryState, BoardState
from .world import IDLE_W, OVERHEAD_MS, TICK_S, World

SENSOR_LAG_S = 0.5
SENSOR_NOISE_W = 0.05
CELLS_V = 14.8


@dataclass(frozen=True)
class Schedule:
    """Level and divider for every frame, decided beforehand (the oracle's)."""

    level: np.ndarray
    every: np.ndarray


@dataclass
class FlightLog:
    """What happened to every camera frame; arrays are [frames].

    Attributes:
        level: that the frame ran on; -1 = not processed.
        latency_ms: of its processing; nan = not processed.
        age_ms: from arrival to result; nan = not processed.
        skipped: left out by the frame divider, on purpose.
        power_w: of the module.
        temperature_c: of the chip.
        energy_j: of the module, up to here.
        dead: the battery is below its reserve.
        chosen: level that was in force.
        stated: probability of keeping the deadline that the policy stood for; nan = none.
        bound_ms: its 95 % bound on the frame's latency; nan = none.
        codes: of the changes: (seconds, code, level, reason).
    """

    level: np.ndarray
    latency_ms: np.ndarray
    age_ms: np.ndarray
    skipped: np.ndarray
    power_w: np.ndarray
    temperature_c: np.ndarray
    energy_j: np.ndarray
    dead: np.ndarray
    chosen: np.ndarray
    stated: np.ndarray
    bound_ms: np.ndarray
    codes: list[tuple[float, str, int, str]]

    @classmethod
    def empty(cls, frames: int) -> FlightLog:
        """Nothing has happened yet."""
        def fill(value: Any) -> np.ndarray:
            return np.full(frames, value)

        return cls(
            fill(-1), fill(math.nan), fill(math.nan), fill(False), fill(math.nan), fill(math.nan),
            fill(math.nan), fill(False), fill(-1), fill(math.nan), fill(math.nan), [],
        )


def fly(world: World, pilot: Policy | Schedule) -> FlightLog:
    """Fly a world from its first frame to its last."""
    return _Flight(world, pilot).run()


class _Flight:
    """The state of one flight."""

    def __init__(self, world: World, pilot: Policy | Schedule) -> None:
        self.world, self.pilot = world, pilot
        self.log = FlightLog.empty(world.frames)
        self.level, self.every, self.last_run = 0, 1, -1000
        self.free_s = -1.0
        self.waiting: int | None = None
        self.done: deque[tuple[float, int, float]] = deque()  # finish, level, ms; not yet seen
        self.window: deque[tuple[float, float]] = deque(maxlen=FRAMES)
        self.tick_s = 0.0
        self.fresh_level = True
        self.throttled = False
        self.temperature_c = float(world.ambient_c[0])
        if world.cooler:
            self.temperature_c += world.cooler.c_per_w * (IDLE_W + 3.0)
        self.energy_j = self.spent_j = self.used_wh = 0.0
        self.shown_w = IDLE_W
        self.frozen_w = IDLE_W
        self.rng = np.random.default_rng([world.seed, 77])
        self.stated = self.bound_ms = math.nan
        # Plain lists: indexing them is several times faster than indexing arrays.
        self.latency = world.latency_ms.tolist()
        self.energies = [level.energy_j for level in world.levels]
        self.limit = world.power_limit_w.tolist()
        self._limit_set = math.nan
        self.arrivals: deque[float] = deque()

    def run(self) -> FlightLog:
        times, periods = self.world.arrival_s.tolist(), self.world.period_s.tolist()
        for n, now_s in enumerate(times):
            if self.waiting is not None and self.free_s <= now_s:
                frame, self.waiting = self.waiting, None
                self._start(frame, self.free_s)
            self.arrivals.append(now_s)
            while now_s - self.arrivals[0] >= 1.0:
                self.arrivals.popleft()
            if isinstance(self.pilot, Schedule):
                self._take_level(int(self.pilot.level[n]), int(self.pilot.every[n]))
            else:
                while self.tick_s <= now_s:
                    self._tick(n, self.tick_s)
                    self.tick_s += TICK_S
            self._arrive(n, now_s)
            self._physics(n, periods[n])
        return self.log

    def _arrive(self, n: int, now_s: float) -> None:
        log = self.log
        log.chosen[n], log.stated[n], log.bound_ms[n] = self.level, self.stated, self.bound_ms
        if n - self.last_run < self.every:
            log.skipped[n] = True
            return
        self.last_run = n
        if self.free_s <= now_s:
            self._start(n, now_s)
        else:
            self.waiting = n  # pushes out an older one, which stays unprocessed

    def _start(self, n: int, start_s: float) -> None:
        level = self.level
        ms = self.latency[level][n]
        if self.throttled and self.world.cooler:
            ms *= self.world.cooler.slow_down
        if self.fresh_level:
            ms += self.world.switch_ms
            self.fresh_level = False
        finish_s = start_s + ms * 1e-3
        self.free_s = finish_s
        self.done.append((finish_s, level, ms))
        self.spent_j += self.energies[level]
        log = self.log
        log.level[n], log.latency_ms[n] = level, ms
        log.age_ms[n] = (finish_s - self.world.arrival_s[n]) * 1e3

    def _physics(self, n: int, period_s: float) -> None:
        world, log = self.world, self.log
        watts = IDLE_W + world.other_w[n] + self.spent_j / period_s
        self.spent_j = 0.0
        self.energy_j += watts * period_s
        self.used_wh += (watts + world.hover_w[n]) * period_s / 3600.0
        self.shown_w += (watts - self.shown_w) * min(1.0, period_s / SENSOR_LAG_S)
        cooler = world.cooler
        if cooler:
            rest_c = world.ambient_c[n] + cooler.c_per_w * watts
            self.temperature_c += (rest_c - self.temperature_c) * period_s / cooler.time_s
            if self.temperature_c >= cooler.trip_c:
                self.throttled = True
            elif self.temperature_c < cooler.release_c:
                self.throttled = False
        log.power_w[n], log.temperature_c[n] = watts, self.temperature_c
        log.energy_j[n] = self.energy_j
        battery = world.battery
        log.dead[n] = battery is not None and self._fraction() < battery.reserve_fraction

    def _fraction(self) -> float:
        assert self.world.battery is not None
        return self.world.battery.start_fraction - self.used_wh / self.world.battery.capacity_wh

    def _tick(self, n: int, now_s: float) -> None:
        assert not isinstance(self.pilot, Schedule)
        self._set_limit(n)
        observation = self._observe(n, now_s)
        decision = self.pilot.decide(observation)
        if decision.level != self.level:
            self.log.codes.append((now_s, decision.code, decision.level, decision.reason))
        self._take_level(decision.level, decision.every)
        self._ask_confidence(observation)

    def _take_level(self, level: int, every: int) -> None:
        if level != self.level:
            self.level, self.fresh_level = level, True
            self.window.clear()
        self.every = every

    def _set_limit(self, n: int) -> None:
        """A changed budget reaches the policy as a changed option, as in the node."""
        limit_w = self.limit[n]
        if limit_w == self._limit_set:
            return
        self._limit_set = limit_w
        pilot: Any = self.pilot
        if hasattr(getattr(pilot, 'options', None), 'power_limit_w'):
            value = 0.0 if math.isinf(limit_w) else limit_w
            pilot.options = dataclasses.replace(pilot.options, power_limit_w=value)

    def _ask_confidence(self, observation: Observation) -> None:
        """What the policy says about the frames until the next tick, if it says anything."""
        self.stated = getattr(self.pilot, 'stated', math.nan)
        bound = getattr(self.pilot, 'latency_quantile_ms', None)
        if bound is not None:
            moved = dataclasses.replace(observation, active=self.level)
            self.bound_ms = bound(0.95, moved)

    def _observe(self, n: int, now_s: float) -> Observation:
        frames = []
        while self.done and self.done[0][0] <= now_s:
            finish_s, level, ms = self.done.popleft()
            frames.append(FrameTime(level, ms, ms - OVERHEAD_MS))
            if level == self.level:
                self.window.append((finish_s, ms))
        levels = tuple(
            LevelInfo(index, level.name, level.kept_macs, level.accuracy, level.profile_ms, True,
                      level.profile_j)
            for index, level in enumerate(self.world.levels)
        )
        input_hz = float(len(self.arrivals)) if now_s >= 1.0 else math.nan
        return Observation(
            now_s, self.level, levels, self._summary(now_s), self._battery(n, now_s),
            self._board(n, now_s), tuple(frames), input_hz,
        )

    def _summary(self, now_s: float) -> RecentLatency:
        recent = sorted(ms for finish_s, ms in self.window if now_s - finish_s <= MAX_AGE_S)
        if not recent:
            return RecentLatency()
        p50, p95 = _percentile(recent, 0.5), _percentile(recent, 0.95)
        return RecentLatency(p50, p95, p50 - OVERHEAD_MS, len(recent))

    def _board(self, n: int, now_s: float) -> BoardState:
        seen_w = self.shown_w + SENSOR_NOISE_W * float(self.rng.standard_normal())
        if self.world.power_frozen[n]:
            seen_w = self.frozen_w
        self.frozen_w = seen_w
        if self.world.power_dead[n]:
            seen_w = math.nan
        celsius = round(2.0 * self.temperature_c) / 2.0 if self.world.cooler else math.nan
        return BoardState(seen_w, celsius, math.nan, now_s)

    def _battery(self, n: int, now_s: float) -> BatteryState:
        if self.world.battery is None:
            return BatteryState()
        watts = float(self.world.hover_w[n]) + self.shown_w
        fraction = max(0.0, round(100.0 * self._fraction()) / 100.0)
        return BatteryState(fraction, CELLS_V, watts / CELLS_V, watts, now_s)


def _percentile(values: list[float], share: float) -> float:
    """Of sorted values, by linear interpolation, as numpy does."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])
