# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, results out: mailbox, worker thread, levels, policy. (Signatures; body follows.)"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..ladder import Ladder, Level
from .engines.base import Engine
from .frame import Frame
from .options import PipelineOptions
from .policy.base import Policy
from .results import Result
from .state import Health, LevelState
from .statistics import StatisticsSnapshot
from .telemetry.snapshot import Telemetry

Progress = Callable[[int, int, str], None]  # done, total, what: 'level 50: loaded, 8.1 ms'
EngineFactory = Callable[[Ladder, Level], Engine]


class UnknownLevel(ValueError):
    """A level was asked for that the ladder does not have, or that is broken."""


class Pipeline:
    """One ladder flown: frames in, results out, the level chosen by a policy.

    All methods may be called from any thread. Order: load, start, (submit | control |
    configure | force_level)*, stop, close. After stop, start works again; counters go on.
    """

    def __init__(
        self,
        ladder: Ladder,
        *,
        policy: Policy,
        options: PipelineOptions | None = None,
        on_result: Callable[[Result], None],
        on_level: Callable[[LevelState], None] | None = None,
        now: Callable[[], float] = time.time,
        engine_factory: EngineFactory | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            ladder: an opened ladder.
            policy: chooses the level at every `control`.
            options: live settings.
            on_result: called in the worker thread for every processed frame. An exception in it
                is logged and counted, and goes no further.
            on_level: called after every change of level (and once at load, code 'initial'), in
                the thread that made it; exceptions likewise.
            now: the clock of `Frame.stamp_s`, for the image age only.
            engine_factory: makes the engine of a level; default ONNX Runtime on the CPU.
            telemetry: default a new one.

        Raises:
            ValueError: an option names an unknown class.
        """
        self.telemetry = telemetry or Telemetry()
        raise NotImplementedError

    def load(self, progress: Progress | None = None) -> None:
        """Load and warm up every level; the heaviest usable one becomes the running one.

        Raises:
            NoUsableLevel: none works; the message has every level's reason.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Start the worker. Raises RuntimeError before `load`; harmless when running."""
        raise NotImplementedError

    def submit(self, frame: Frame) -> bool:
        """Hand over a frame; never waits. False (and not counted) when not running."""
        raise NotImplementedError

    def reject(self, reason: str) -> None:
        """Account for garbage input: received + 1, failed + 1; the reason is remembered."""
        raise NotImplementedError

    def stop(self) -> None:
        """Finish the frame in work and stop the worker; a waiting frame counts as stale."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop and free the engines; may be called twice. `load` works again afterwards."""
        raise NotImplementedError

    def force_level(self, name: str | None) -> None:
        """Run this level until released with None; may be called before `load`.

        Raises:
            UnknownLevel: the ladder has no such level, or it is broken.
        """
        raise NotImplementedError

    def configure(self, options: PipelineOptions) -> None:
        """Change settings between two frames.

        Raises:
            ValueError: an unknown class in ``class_filter``; nothing is changed.
        """
        raise NotImplementedError

    def control(self) -> LevelState:
        """One tick of the policy (about 10 Hz from a steady timer); the state afterwards."""
        raise NotImplementedError

    def statistics(self) -> StatisticsSnapshot:
        """Counters and rolling times of this moment."""
        raise NotImplementedError

    @property
    def level(self) -> LevelState:
        """The running level. Before `load`: index -1, name ''."""
        raise NotImplementedError

    @property
    def options(self) -> PipelineOptions:
        """The settings in force."""
        raise NotImplementedError

    @property
    def health(self) -> Health:
        """Usable levels, failed levels with reasons, last error."""
        raise NotImplementedError
