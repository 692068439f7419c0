# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Exact frame accounting and rolling statistics of a pipeline."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
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
class CameraSnapshot:
    """What became of one camera's frames; the counters are those of `StatisticsSnapshot`."""

    received: int
    processed: int
    replaced: int
    stale: int
    failed: int
    skipped: int
    waiting: int
    in_work: int
    age_ms: Percentiles
    last_failure: str


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
        waiting: in the mailbox, at most one of each camera.
        in_work: 0 or 1, with the worker.
        in_work_s: how long it has been there; 0 when there is none.
        callback_errors: exceptions of on_result and on_level.
        switches: changes of level.
        stages_ms: the fields of `Timings` -> Percentiles.
        age_ms: from `Frame.stamp_s` to the result, on the source's clock.
        level_frames: level name -> frames processed.
        level_time_s: level name -> seconds as the running level while the pipeline ran.
        last_failure: reason of the latest failed frame, '' if none.
        skipped: frames that the policy chose to leave out.
        engine_runs: of the processed frames; more than frames where pictures are cut into tiles.
        cameras: name -> the same of each camera; the counters above are their sums.
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
    engine_runs: int = 0
    in_work_s: float = 0.0
    cameras: dict[str, CameraSnapshot] = field(default_factory=dict)


@dataclass
class _Counters:
    """Of one camera."""

    received: int = 0
    processed: int = 0
    replaced: int = 0
    stale: int = 0
    failed: int = 0
    waiting: int = 0
    in_work: int = 0
    skipped: int = 0


class _Camera:
    """Counters, ages and the latest failure of one camera."""

    def __init__(self) -> None:
        self.counters = _Counters()
        self.ages = deque[float](maxlen=WINDOW)
        self.last_failure = ''


class Statistics:
    """Collects what `StatisticsSnapshot` shows; thread-safe.

    Every method moves a frame from one counter to another in one step, so the sum holds in
    every snapshot, whatever the threads are doing.
    """

    def __init__(
        self,
        levels: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
        cameras: Sequence[str] = ('',),
    ) -> None:
        names = list(levels)
        self._lock = threading.Lock()
        self._clock = clock
        self._cameras = {name: _Camera() for name in cameras}
        self._callback_errors = self._switches = self._engine_runs = 0
        stages = [item.name for item in dataclasses.fields(Timings)]
        self._stages = {name: deque[float](maxlen=WINDOW) for name in stages}
        self._ages = deque[float](maxlen=WINDOW)
        self._frames = dict.fromkeys(names, 0)
        self._time = dict.fromkeys(names, 0.0)
        self._level = ''
        self._since = math.nan  # of the running level while the pipeline runs, else nan
        self._last_failure = ''
        self._taken_s = math.nan  # when the frame in work was taken

    def put(self, replaced: bool, camera: str = '') -> None:
        """A frame came into the mailbox (and pushed another one out)."""
        with self._lock:
            counters = self._cameras[camera].counters
            counters.received += 1
            if replaced:
                counters.replaced += 1
            else:
                counters.waiting += 1

    def skip(self, camera: str = '') -> None:
        """A frame came that is not to be processed."""
        with self._lock:
            counters = self._cameras[camera].counters
            counters.received += 1
            counters.skipped += 1

    def taken(self, camera: str = '') -> None:
        """The waiting frame left the mailbox."""
        with self._lock:
            counters = self._cameras[camera].counters
            counters.waiting -= 1
            counters.in_work += 1
            if math.isnan(self._taken_s):
                self._taken_s = self._clock()

    def processed(
        self, level: str, timings: Timings, age_s: float, camera: str = '', engine_runs: int = 1
    ) -> None:
        """The frame in work has a result."""
        with self._lock:
            self._engine_runs += engine_runs
            found = self._cameras[camera]
            self._done(found.counters)
            found.counters.processed += 1
            found.ages.append(age_s * 1e3)
            self._frames[level] += 1
            for name, values in self._stages.items():
                values.append(getattr(timings, name))
            self._ages.append(age_s * 1e3)

    def stale(self, camera: str = '') -> None:
        """The frame in work was too old."""
        with self._lock:
            counters = self._cameras[camera].counters
            self._done(counters)
            counters.stale += 1

    def failed(self, reason: str, camera: str = '') -> None:
        """A stage failed on the frame in work."""
        with self._lock:
            self._done(self._cameras[camera].counters)
            self._fail(reason, camera)

    def rejected(self, reason: str, camera: str = '') -> None:
        """Something came that is no frame at all."""
        with self._lock:
            self._cameras[camera].counters.received += 1
            self._fail(reason, camera)

    def callback_failed(self) -> None:
        """A callback of the pipeline's owner raised."""
        with self._lock:
            self._callback_errors += 1

    def running(self, running: bool) -> None:
        """The worker started or stopped: the clock of the levels runs or stands."""
        with self._lock:
            self._settle()
            self._since = self._clock() if running else math.nan

    def level(self, name: str) -> None:
        """The running level changed; '' = none."""
        with self._lock:
            self._settle()
            self._switches += bool(self._level and name and name != self._level)
            self._level = name

    def snapshot(self) -> StatisticsSnapshot:
        """Everything, of one moment."""
        with self._lock:
            self._settle()
            cameras = {
                name: (dict(vars(camera.counters)), list(camera.ages), camera.last_failure)
                for name, camera in self._cameras.items()
            }
            stages = {name: list(values) for name, values in self._stages.items()}
            ages = list(self._ages)
            frames, seconds = dict(self._frames), dict(self._time)
            last_failure = self._last_failure
            callback_errors, switches = self._callback_errors, self._switches
            engine_runs = self._engine_runs
            in_work_s = 0.0 if math.isnan(self._taken_s) else self._clock() - self._taken_s
        counters: dict[str, int] = {}  # the sums and the sorting are done outside the lock
        for counted, _, _ in cameras.values():
            for name, count in counted.items():
                counters[name] = counters.get(name, 0) + count
        return StatisticsSnapshot(
            **counters,
            callback_errors=callback_errors,
            switches=switches,
            engine_runs=engine_runs,
            in_work_s=in_work_s,
            stages_ms={name: Percentiles.of(values) for name, values in stages.items()},
            age_ms=Percentiles.of(ages),
            level_frames=frames,
            level_time_s=seconds,
            last_failure=last_failure,
            cameras={
                name: CameraSnapshot(
                    **counted, age_ms=Percentiles.of(own_ages), last_failure=failure
                )
                for name, (counted, own_ages, failure) in cameras.items()
            },
        )

    def _done(self, counters: _Counters) -> None:
        counters.in_work -= 1
        if not any(camera.counters.in_work for camera in self._cameras.values()):
            self._taken_s = math.nan

    def _fail(self, reason: str, camera: str) -> None:
        found = self._cameras[camera]
        found.counters.failed += 1
        found.last_failure = self._last_failure = reason

    def _settle(self) -> None:
        """Book the time since the last settling to the running level."""
        if not math.isnan(self._since):
            now = self._clock()
            if self._level:
                self._time[self._level] += now - self._since
            self._since = now
