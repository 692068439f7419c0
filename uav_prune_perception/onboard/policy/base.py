# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy sees and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..telemetry.snapshot import BatteryState, BoardState

# Codes of decisions, short and stable: they go into diagnostics, logs and plots.
INITIAL = 'initial'
HOLD = 'hold'
DEADLINE = 'deadline'
BATTERY = 'battery'
POWER = 'power'
TEMPERATURE = 'temperature'
RECOVERED = 'recovered'
FORCED = 'forced'
RELEASED = 'released'
STATIC = 'static'
ENGINE_FAILED = 'engine_failed'
ALARM = 'alarm'
ENDURANCE = 'endurance'


@dataclass(frozen=True)
class LevelInfo:
    """One level as a policy sees it.

    Attributes:
        index: position in the ladder; 0 is the heaviest and most accurate.
        name: the level's name in the ladder.
        kept_macs: share of the dense network's multiply-accumulates, 0..1.
        accuracy: measured accuracy, 0..1.
        latency_ms: expected inference time (p50) on this board, measured at warm-up.
        usable: false when it failed to load or broke in flight.
        energy_j: of one inference on this board, joules; nan = never measured.
    """

    index: int
    name: str
    kept_macs: float
    accuracy: float
    latency_ms: float
    usable: bool
    energy_j: float = float('nan')


@dataclass(frozen=True)
class RecentLatency:
    """The active level's recent frames, milliseconds; nan while there are none.

    ``p50_ms`` and ``p95_ms`` are of the whole processing (`Timings.total`), ``inference_ms`` is
    the p50 of the inference alone. ``frames`` says how many frames are behind the numbers.
    """

    p50_ms: float = float('nan')
    p95_ms: float = float('nan')
    inference_ms: float = float('nan')
    frames: int = 0


@dataclass(frozen=True)
class FrameTime:
    """One processed frame: on which level, and how long it took (as in `Timings`)."""

    level: int
    total_ms: float
    inference_ms: float


@dataclass(frozen=True)
class Observation:
    """Everything a policy may look at in one tick.

    Attributes:
        now_s: `time.monotonic` seconds.
        active: index of the running level.
        levels: all levels, heaviest first.
        latency: recent latency of the active level, cleared at every change of level.
        battery: nan in every field when unknown or too old.
        board: likewise.
        frames: processed since the last tick, oldest first, also those of a former level.
        input_hz: rate at which frames came in lately; nan = unknown.
    """

    now_s: float
    active: int
    levels: tuple[LevelInfo, ...]
    latency: RecentLatency
    battery: BatteryState
    board: BoardState
    frames: tuple[FrameTime, ...] = ()
    input_hz: float = float('nan')


@dataclass(frozen=True)
class Decision:
    """The level to run from the next frame on, and why.

    Attributes:
        level: index; equal to the active one when nothing changes.
        code: one of the constants of this module.
        reason: plain words with the numbers behind the decision, ready to print.
        every: process only every n-th frame; 1 = all.
    """

    level: int
    code: str
    reason: str
    every: int = 1


class Policy(Protocol):
    """Chooses the level; called about ten times a second, never from two threads at once."""

    def decide(self, observation: Observation) -> Decision:
        """Choose a usable level."""
        ...
