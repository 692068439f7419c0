# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pilots that exist only to be compared with."""

from __future__ import annotations

from dataclasses import dataclass

from ..policy.base import DEADLINE, HOLD, POWER, RECOVERED, Decision, Observation
from ..policy.hysteresis import HysteresisOptions, HysteresisPolicy


@dataclass(frozen=True)
class FrameSkipOptions:
    """Options of `FrameSkipPolicy`; 0 switches a limit off."""

    deadline_ms: float = 50.0
    power_limit_w: float = 0.0
    temperature_limit_c: float = 85.0
    temperature_margin_c: float = 3.0
    dwell_s: float = 5.0
    max_every: int = 6


class FrameSkipPolicy:
    """Always the heaviest level; answers every trouble by processing fewer frames.

    The honest rival to pruning: where idle power dominates, a skipped frame saves more.
    """

    def __init__(self, options: FrameSkipOptions | None = None) -> None:
        self.options = options or FrameSkipOptions()
        self._every, self._changed_s = 1, -1e9

    def decide(self, observation: Observation) -> Decision:
        """One tick."""
        o, options = observation, self.options
        trouble = ''
        if options.power_limit_w and o.board.power_w > options.power_limit_w:
            trouble = POWER
        elif options.temperature_limit_c and (
            o.board.temperature_c > options.temperature_limit_c - options.temperature_margin_c
        ):
            trouble = 'temperature'
        elif o.input_hz > 0 and o.latency.p95_ms > self._every * 1e3 / o.input_hz:
            trouble = DEADLINE
        settled = o.now_s - self._changed_s >= (2.0 if trouble else options.dwell_s)
        if trouble and settled and self._every < options.max_every:
            return self._go(o, self._every + 1, trouble)
        calm = not options.power_limit_w or o.board.power_w < 0.85 * options.power_limit_w
        calm &= not o.board.temperature_c > options.temperature_limit_c - 8.0
        keeps_up = not o.input_hz > 0 or o.latency.p95_ms < 900.0 * (self._every - 1) / o.input_hz
        if not trouble and settled and calm and keeps_up and self._every > 1:
            return self._go(o, self._every - 1, RECOVERED)
        return Decision(0, HOLD, 'heaviest level', self._every)

    def _go(self, o: Observation, every: int, code: str) -> Decision:
        self._every, self._changed_s = every, o.now_s
        return Decision(0, code, f'every {every}. frame', every)


@dataclass(frozen=True)
class TemperatureOptions:
    """Options of `TemperaturePolicy`."""

    temperature_limit_c: float = 85.0


class TemperaturePolicy:
    """Hysteresis on temperature alone, after Play It Cool (arXiv 2206.10849)."""

    def __init__(self, options: TemperatureOptions | None = None) -> None:
        self.options = options or TemperatureOptions()
        limit_c = self.options.temperature_limit_c
        self._policy = HysteresisPolicy(HysteresisOptions(
            deadline_ms=0.0, temperature_limit_c=limit_c - 3.0, battery_low_fraction=0.0,
            battery_critical_fraction=0.0,
        ))

    def decide(self, observation: Observation) -> Decision:
        """One tick."""
        return self._policy.decide(observation)
