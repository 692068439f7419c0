# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The onboard pipeline on recorded time: every frame is processed, as fast as the engine can.

The clock is the recording's. Latencies are measured on this machine, so the policy sees what it
would see here; the difference to a flight is that no frame is ever replaced by a newer one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from uav_prune_perception.ladder import Ladder
from uav_prune_perception.onboard.decode import Decoder
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.selection import choose_engines
from uav_prune_perception.onboard.frame import Frame
from uav_prune_perception.onboard.frame_processor import FrameProcessor
from uav_prune_perception.onboard.level_bank import LevelBank
from uav_prune_perception.onboard.level_control import LevelControl
from uav_prune_perception.onboard.level_profiles import profiled_costs
from uav_prune_perception.onboard.options import PipelineOptions
from uav_prune_perception.onboard.policy.base import Policy
from uav_prune_perception.onboard.results import Result
from uav_prune_perception.onboard.state import LevelState
from uav_prune_perception.onboard.statistics import Statistics, StatisticsSnapshot
from uav_prune_perception.onboard.telemetry.machine import device_name
from uav_prune_perception.onboard.telemetry.snapshot import BatteryState, BoardState, Telemetry

from .source import ReplayError, Source

__all__ = ['ReplayError', 'Replayed', 'Sink', 'replay']

CONTROL_S = 0.1  # between two ticks of the policy, seconds of the recording


class Sink(Protocol):
    """Takes what comes out."""

    def result(self, t_s: float, result: Result) -> None:
        """A processed frame."""
        ...

    def level(self, t_s: float, state: LevelState) -> None:
        """A change of level."""
        ...


@dataclass
class Replayed:
    """What a replay came to.

    Attributes:
        source: name of the recording.
        frames: processed.
        skipped: left out by the policy (its frame-rate divider).
        recorded_s: length of the recording.
        wall_s: time the replay took, outputs included.
        found: class name -> boxes (or pictures, for a classifier).
        changes: time, level and reason of every change.
        statistics: as of a flight.
    """

    source: str
    frames: int = 0
    skipped: int = 0
    recorded_s: float = 0.0
    wall_s: float = 0.0
    found: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[float, str, str]] = field(default_factory=list)
    statistics: StatisticsSnapshot | None = None


class _Player:
    """One replay in progress."""

    def __init__(
        self, ladder: Ladder, policy: Policy, options: PipelineOptions, sinks: Sequence[Sink]
    ) -> None:
        self.ladder, self.sinks = ladder, sinks
        self.now_s = 0.0
        self.telemetry = Telemetry()
        self.statistics = Statistics(level.name for level in ladder.levels)
        self.levels = LevelControl(
            ladder, policy, self.telemetry, self.statistics, self._announce,
            profiled=profiled_costs(ladder, options.device or device_name()),
            clock=lambda: self.now_s,
        )
        self.bank = LevelBank(ladder, choose_engines(
            ladder, engine=options.engine, precision=options.precision, threads=options.threads,
            cuda_graph=options.cuda_graph,
        ))
        self.decoder, self.tiling = Decoder(ladder, options), options.tiling
        self.summary = Replayed('')
        self._ticked_s = 0.0

    def begin(self, level: str | None) -> None:
        self.bank.load()
        if level is not None:
            self.levels.force(level)
        self.levels.begin(self.bank)
        self.process = FrameProcessor(self.bank)
        self.statistics.running(True)

    def event(self, t_s: float, content: Frame | BatteryState | BoardState) -> None:
        self.now_s = max(self.now_s, t_s)
        if isinstance(content, BatteryState):
            self.telemetry.update_battery(content)
        elif isinstance(content, BoardState):
            self.telemetry.update_board(content)
        else:
            self._frame(content)
        if self.now_s - self._ticked_s >= CONTROL_S:
            self._ticked_s = self.now_s
            self.levels.tick()

    def end(self) -> None:
        self.statistics.running(False)
        self.levels.end()
        self.bank.close()

    def _frame(self, frame: Frame) -> None:
        if not self.levels.flow.admit(self.now_s):
            self.statistics.skip()
            self.summary.skipped += 1
            return
        self.statistics.put(False)
        self.statistics.taken()
        level = self.levels.state
        try:
            result = self.process(
                frame, level.index, self.decoder, time.monotonic(), self.tiling)
        except EngineError as error:
            self.statistics.failed(str(error))
            self.levels.engine_failed(level.index, str(error))
            if not self.bank.usable:
                raise ReplayError(f'{self.ladder.folder}: {self.levels.last_error}') from None
            return
        except ValueError as error:
            place = frame.source or 'picture'
            raise ReplayError(f'{place} at {self.now_s:.2f} s: {error}') from None
        self.levels.frame_done(level, result, result.timings.total / 1e3)
        self._count(result)
        for sink in self.sinks:
            sink.result(self.now_s, result)

    def _count(self, result: Result) -> None:
        self.summary.frames += 1
        if result.detections is not None:
            labels = result.detections.class_ids
        else:
            assert result.classification is not None
            labels = result.classification.class_ids[:1]
        for label in labels.tolist():
            name = self.ladder.classes[label]
            self.summary.found[name] = self.summary.found.get(name, 0) + 1

    def _announce(self, state: LevelState) -> None:
        self.summary.changes.append((self.now_s, state.name, state.reason))
        for sink in self.sinks:
            sink.level(self.now_s, state)


def replay(
    ladder: Ladder,
    source: Source,
    *,
    policy: Policy,
    options: PipelineOptions | None = None,
    level: str | None = None,
    sinks: Sequence[Sink] = (),
    progress: Callable[[int], None] | None = None,
    limit: int | None = None,
) -> Replayed:
    """Fly a recording.

    Args:
        ladder: an opened ladder.
        source: the recording.
        policy: chooses the level on the recording's telemetry and this machine's latencies.
        options: thresholds, classes, threads.
        level: run only this level; the policy is not asked.
        sinks: take results and level changes.
        progress: told after each picture how many came.
        limit: end after so many pictures.

    Raises:
        ReplayError: the recording is damaged, or no level is left.
        NoUsableLevel: no level can be loaded.
        UnknownLevel: ``level`` is not in the ladder.
    """
    player = _Player(ladder, policy, options or PipelineOptions(), sinks)
    started, pictures = time.monotonic(), 0
    try:
        player.begin(level)
        for event in source.events():
            player.event(event.t_s, event.content)
            if isinstance(event.content, Frame):
                pictures += 1
                if progress is not None:
                    progress(pictures)
                if limit is not None and pictures >= limit:
                    break
    finally:
        player.end()
    summary = player.summary
    summary.source, summary.recorded_s = source.name, player.now_s
    summary.wall_s = time.monotonic() - started
    summary.statistics = player.statistics.snapshot()
    return summary
