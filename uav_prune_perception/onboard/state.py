# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a pipeline says about itself: the running level and its health."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LevelState:
    """The running level and why it runs.

    Attributes:
        index: position in the ladder, 0 = heaviest.
        name: the level's name.
        previous: name of the level before it; '' at the beginning.
        code: why, as one of the constants of `policy.base`.
        reason: why, in plain words with numbers.
        since_s: `time.monotonic` seconds of the change.
        forced: chosen by `Pipeline.force_level`, the policy is not asked.
        every: only every n-th frame is processed; 1 = all.
    """

    index: int
    name: str
    previous: str
    code: str
    reason: str
    since_s: float
    forced: bool
    every: int = 1


@dataclass(frozen=True)
class Health:
    """Whether the pipeline can do its work.

    Attributes:
        ok: loaded, and at least one level is usable (or being loaded).
        running: the worker takes frames.
        usable: names of the levels that work, heaviest first.
        failed: name -> reason, of the levels that failed to load or broke in flight.
        not_in_memory: names of the levels that are sound but not loaded: memory is short.
        last_error: the latest thing that went wrong, '' if nothing did. One line.
    """

    ok: bool
    running: bool
    usable: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)
    last_error: str = ''
    not_in_memory: tuple[str, ...] = ()
