# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Exact frame accounting and rolling statistics of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Percentiles:
    """Rolling p50, p95, p99 and mean over the last ``n`` values; nan when n is 0."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class StatisticsSnapshot:
    """Counters since construction and rolling times, all of one moment.

    Always: received = processed + replaced + stale + failed + waiting + in_work.

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
