# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A PID loop on latency (and power), mapped to the level: a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .base import DEADLINE, HOLD, POWER, RECOVERED, Decision, Observation


@dataclass(frozen=True)
class PidOptions:
    """Options of `PidPolicy`; 0 switches a limit off.

    Attributes:
        deadline_ms: of a frame's processing (p95).
        setpoint: share of deadline and power limit to settle at.
        power_limit_w: of the board.
        proportional: levels per unit of relative error.
        integral: levels per unit of relative error and second.
        derivative: levels per unit of relative error per second.
        deadband: the output must be this far beyond half a level to change the level.
        min_frames: wait for this many frames after a change.
    """

    deadline_ms: float = 50.0
    setpoint: float = 0.85
    power_limit_w: float = 0.0
    proportional: float = 1.0
    integral: float = 1.0
    derivative: float = 0.0
    deadband: float = 0.2
    min_frames: int = 5

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError naming the option and its range."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f'{name} is {value}, must be a number from 0')
        if not 0 < self.setpoint <= 1:
            raise ValueError(f'setpoint is {self.setpoint}, must be above 0, at most 1')


class PidPolicy:
    """Velocity-form PID; its output is a continuous level, rounded with a dead band."""

    def __init__(self, options: PidOptions | None = None) -> None:
        self.options = options or PidOptions()
        self._output = math.nan  # continuous level index
        self._errors = (0.0, 0.0)
        self._time_s = math.nan

    def decide(self, observation: Observation) -> Decision:
        """One tick."""
        o = observation
        active = o.levels[o.active]
        if math.isnan(self._output):
            self._output = float(o.active)
        elapsed_s = min(max(o.now_s - self._time_s, 0.0), 1.0) if self._time_s >= 0 else 0.0
        self._time_s = o.now_s
        error, what, code = self._error(o)
        if math.isnan(error):
            return Decision(o.active, HOLD, f'stay at {active.name}: too few recent frames')
        options, (last, before) = self.options, self._errors
        step = options.proportional * (error - last) + options.integral * error * elapsed_s
        if elapsed_s > 0:
            step += options.derivative * (error - 2 * last + before) / elapsed_s
        self._errors = (error, last)
        self._output = min(max(self._output - step, 0.0), len(o.levels) - 1.0)
        if abs(self._output - o.active) <= 0.5 + options.deadband:
            return Decision(o.active, HOLD, f'stay at {active.name}: {what}')
        usable = [level for level in o.levels if level.usable]
        target = min(usable, key=lambda level: abs(level.index - self._output), default=active)
        if target.index < o.active:
            code = RECOVERED
        return Decision(target.index, code, f'{what}: go to {target.name}')

    def _error(self, o: Observation) -> tuple[float, str, str]:
        """Relative distance under the set point (negative: over it), words, code."""
        options, worst = self.options, (math.nan, '', HOLD)
        if options.deadline_ms and o.latency.frames >= options.min_frames:
            relative = options.setpoint - o.latency.p95_ms / options.deadline_ms
            words = f'p95 {o.latency.p95_ms:.0f} ms of {options.deadline_ms:.0f} ms'
            worst = (relative, words, DEADLINE)
        if options.power_limit_w and not math.isnan(o.board.power_w):
            relative = options.setpoint - o.board.power_w / options.power_limit_w
            if not relative >= worst[0]:
                words = f'power {o.board.power_w:.1f} W of {options.power_limit_w:.1f} W'
                worst = (relative, words, POWER)
        return worst
