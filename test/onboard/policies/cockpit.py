# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Observations for policy tests, tick by tick."""

from __future__ import annotations

import math

import numpy as np

from uav_prune_perception.onboard.policy.base import (
    Decision,
    FrameTime,
    LevelInfo,
    Observation,
    RecentLatency,
)
from uav_prune_perception.onboard.telemetry import BatteryState, BoardState

PROFILE_MS = (20.0, 14.0, 8.0)
ACCURACY = (0.6, 0.55, 0.45)
TICK_S = 0.1
FRAMES = 3  # per tick: 30 Hz


class Cockpit:
    """Feeds a policy with frames of a board that runs ``slow`` times slower than profiled."""

    def __init__(self, policy, *, jitter=0.02, seed=0, energy_j=math.nan, input_hz=30.0):
        self.policy = policy
        self.levels = tuple(
            LevelInfo(i, name, 1.0 - 0.3 * i, ACCURACY[i], PROFILE_MS[i], True,
                      energy_j * PROFILE_MS[i])
            for i, name in enumerate(('dense', '50', '25'))
        )
        self.now_s, self.active, self.slow, self.jitter = 0.0, 0, 1.0, jitter
        self.input_hz = input_hz
        self.board = BoardState()
        self.battery = BatteryState()
        self.rng = np.random.default_rng(seed)
        self.changes: list[tuple[float, Decision]] = []
        self.last: Decision | None = None

    def break_level(self, index):
        self.levels = tuple(
            LevelInfo(x.index, x.name, x.kept_macs, x.accuracy, x.latency_ms,
                      x.usable and x.index != index, x.energy_j)
            for x in self.levels
        )

    def tick(self, board=None):
        times = PROFILE_MS[self.active] * self.slow * np.exp(
            self.jitter * self.rng.standard_normal(FRAMES))
        frames = tuple(FrameTime(self.active, float(t) + 1.0, float(t)) for t in times)
        totals = sorted(frame.total_ms for frame in frames)
        latency = RecentLatency(totals[1], totals[-1], totals[1] - 1.0, 30)
        self.now_s += TICK_S
        self.last = self.policy.decide(Observation(
            self.now_s, self.active, self.levels, latency, self.battery, board or self.board,
            frames, self.input_hz,
        ))
        if self.last.level != self.active:
            self.changes.append((self.now_s, self.last))
        self.active = self.last.level
        return self.last

    def fly(self, seconds, board=None):
        """Ticks; ``board`` may be a function of the time."""
        for _ in range(round(seconds / TICK_S)):
            self.tick(board(self.now_s) if board else None)
        return self.last
