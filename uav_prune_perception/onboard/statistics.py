# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Exact frame accounting and rolling statistics of a pipeline."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .results import Timings

WINDOW = 600  # frames behind the rolling figures: 20 s at 30 Hz


@dataclass(frozen=True)
class Percentiles:
    """Rolling p50, p95, p99 and mean over the last ``n`` values; nan when n is 0."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """Of the values that are not nan."""
        known = np.array([value for value in values if not math.isnan(value)], np.float64)
        if not len(known):
            return cls(0, math.nan, math.nan, math.nan, math.nan)
        p50, p95, p99 = (float(value) for value in np.percentile(known, (50, 95, 99)))
        return cls(len(known), float(known.mean()), p50, p95, p99)


@dataclass(frozen=True)
class StatisticsSnapshot:
    """Counters since construction and rolling times, all of one moment.

    Always: received = processed + replaced + stale + failed + skipped + waiting + in_work.

    Attributes:
        received: frames submitted or rejected.
        processed: frames with a result.
        replaced: frames that a newer one pushed out of the mailbox.
        stale: frames too old when their turn came, or waiting when the pipeline stopped.
        failed: rejected as garbage, or a stage failed on them.
        waiting: 0 or 1, in the mailbox.
        in_work: 0 or 1, with the worker.
        callback_errors: exceptions of on_result and on_level.
        switches: changes of level.
        stages_ms: 'queue', 'preprocess', 'inference', 'postprocess', 'total' -> Percentiles.
        age_ms: from `Frame.stamp_s` to the result, on the source's clock.
        level_frames: level name -> frames processed.
        level_time_s: level name -> seconds as the running level while the pipeline ran.
        last_failure: reason of the latest failed frame, '' if none.
        skipped: frames that the policy chose to leave out.
    """

    received: int
    processed: int
    replaced: int
    stale: int
    failed: int
    waiting: int
    in_work: int
    callback_errors: int
    switches: int
    stages_ms: dict[str, Percentiles]
    age_ms: Percentiles
    level_frames: dict[str, int] = field(default_factory=dict)
    level_time_s: dict[str, float] = field(default_factory=dict)
    last_failure: str = ''
    skipped: int = 0


@dataclass
class _Counters:
    received: int = 0
    processed: int = 0
    replaced: int = 0
    stale: int = 0
    failed: int = 0
    waiting: int = 0
    in_work: int = 0
    callback_errors: int = 0
    switches: int = 0
    skipped: int = 0


class Statistics:
    """Collects what `StatisticsSnapshot` shows; thread-safe.

    Every method moves a frame from one counter to another in one step, so the sum holds in
    every snapshot, whatever the threads are doing.
    """

    def __init__(
        self, levels: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        names = list(levels)
        self._lock = threading.Lock()
        self._clock = clock
        self._counters = _Counters()
        stages = [item.name for item in dataclasses.fields(Timings)]
        self._stages = {name: deque[float](maxlen=WINDOW) for name in stages}
        self._ages = deque[float](maxlen=WINDOW)
        self._frames = dict.fromkeys(names, 0)
        self._time = dict.fromkeys(names, 0.0)
        self._level = ''
        self._since = math.nan  # of the running level while the pipeline runs, else nan
        self._last_failure = ''

    def put(self, replaced: bool) -> None:
        """A frame came into the mailbox (and pushed another one out)."""
        with self._lock:
            self._counters.received += 1
            if replaced:
                self._counters.replaced += 1
            else:
                self._counters.waiting += 1

    def skip(self) -> None:
        """A frame came that is not to be processed."""
        with self._lock:
            self._counters.received += 1
            self._counters.skipped += 1

    def taken(self) -> None:
        """The waiting frame left the mailbox."""
        with self._lock:
            self._counters.waiting -= 1
            self._counters.in_work += 1

    def processed(self, level: str, timings: Timings, age_s: float) -> None:
        """The frame in work has a result."""
        with self._lock:
            self._counters.in_work -= 1
            self._counters.processed += 1
            self._frames[level] += 1
            for name, values in self._stages.items():
                values.append(getattr(timings, name))
            self._ages.append(age_s * 1e3)

    def stale(self) -> None:
        """The frame in work was too old."""
        with self._lock:
            self._counters.in_work -= 1
            self._counters.stale += 1

    def failed(self, reason: str) -> None:
        """A stage failed on the frame in work."""
        with self._lock:
            self._counters.in_work -= 1
            self._counters.failed += 1
            self._last_failure = reason

    def rejected(self, reason: str) -> None:
        """Something came that is no frame at all."""
        with self._lock:
            self._counters.received += 1
            self._counters.failed += 1
            self._last_failure = reason

    def callback_failed(self) -> None:
        """A callback of the pipeline's owner raised."""
        with self._lock:
            self._counters.callback_errors += 1

    def running(self, running: bool) -> None:
        """The worker started or stopped: the clock of the levels runs or stands."""
        with self._lock:
            self._settle()
            self._since = self._clock() if running else math.nan

    def level(self, name: str) -> None:
        """The running level changed; '' = none."""
        with self._lock:
            self._settle()
            self._counters.switches += bool(self._level and name and name != self._level)
            self._level = name

    def snapshot(self) -> StatisticsSnapshot:
        """Everything, of one moment."""
        with self._lock:
            self._settle()
            counters = dataclasses.asdict(self._counters)
            stages = {name: list(values) for name, values in self._stages.items()}
            ages = list(self._ages)
            frames, seconds = dict(self._frames), dict(self._time)
            last_failure = self._last_failure
        return StatisticsSnapshot(  # the sorting is done outside the lock
            **counters,
            stages_ms={name: Percentiles.of(values) for name, values in stages.items()},
            age_ms=Percentiles.of(ages),
            level_frames=frames,
            level_time_s=seconds,
            last_failure=last_failure,
        )

    def _settle(self) -> None:
        """Book the time since the last settling to the running level."""
        if not math.isnan(self._since):
            now = self._clock()
            if self._level:
                self._time[self._level] += now - self._since
            self._since = now
