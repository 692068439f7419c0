# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How good a flight was."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .flight import FlightLog
from .world import World

MEAN_S = 1.0  # power is judged by its mean over this
POWER_TOLERANCE = 1.02
LOST_SHARE = 0.005  # out of battery for longer than this share of the mission: it is lost
CALM = 5  # this many frames in time in a row end a recovery


@dataclass(frozen=True)
class Metrics:
    """Figures of one flight.

    Attributes:
        score: mean over all camera frames of the worth of the answer at hand: the accuracy of
            the newest answer that came in time, faded by its age; 0 for a frame that was taken
            but came late or was pushed out, and while a limit is broken. 0 for the whole flight
            when the battery was at its reserve before the target: nobody brings answers home.
        raw_score: the same without that last rule.
        on_time_accuracy: mean accuracy of processed frames, late ones count as 0.
        violations: share of frames taken on that came late or were pushed out.
        limit_violations: share of time over the power or temperature limit, or dead.
        p50_ms, p95_ms, p99_ms: age of results.
        replaced: share of camera frames pushed out of the mailbox.
        skipped: share of camera frames left out by the divider.
        energy_j: of the module.
        joules_per_frame: of the module, per processed frame.
        switches_per_min: changes of level.
        recovery_s: from a step of the world to the first of five frames in time, the worst.
        stated: mean probability of keeping the deadline that the policy stood for; nan = none.
        kept: share of those frames that kept it.
        covered: share of processed frames under the policy's 95 % bound; nan = none.
        mean_level: mean index of the level in force.
    """

    score: float
    raw_score: float
    on_time_accuracy: float
    violations: float
    limit_violations: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    replaced: float
    skipped: float
    energy_j: float
    joules_per_frame: float
    switches_per_min: float
    recovery_s: float
    stated: float
    kept: float
    covered: float
    mean_level: float


def measure(world: World, log: FlightLog) -> Metrics:
    """All figures of a flight."""
    processed = log.level >= 0
    in_time = processed & (log.age_ms <= world.deadline_ms)
    taken = ~log.skipped
    broken = limit_broken(world, log)
    accuracy = np.where(
        processed, world.accuracy[np.maximum(log.level, 0), np.arange(world.frames)], 0.0
    )
    ages = log.age_ms[processed]
    p50, p95, p99 = np.percentile(ages, (50, 95, 99)) if len(ages) else (math.nan,) * 3
    raw = float(np.where(broken, 0.0, _worth(world, log, in_time, accuracy)).mean())
    minutes = float(world.arrival_s[-1]) / 60.0
    told = processed & ~np.isnan(log.stated)
    bounded = processed & ~np.isnan(log.bound_ms)
    return Metrics(
        score=0.0 if log.dead.mean() > LOST_SHARE else raw,
        raw_score=raw,
        on_time_accuracy=float(np.where(in_time, accuracy, 0.0)[processed].mean()),
        violations=float((taken & ~in_time).sum() / max(1, taken.sum())),
        limit_violations=float(np.average(broken, weights=world.period_s)),
        p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99),
        replaced=float((taken & ~processed).mean()),
        skipped=float(log.skipped.mean()),
        energy_j=float(log.energy_j[-1]),
        joules_per_frame=float(log.energy_j[-1] / max(1, processed.sum())),
        switches_per_min=float((np.diff(log.chosen) != 0).sum()) / minutes,
        recovery_s=_recovery_s(world, taken, in_time, broken),
        stated=float(log.stated[told].mean()) if told.any() else math.nan,
        kept=float(in_time[told].mean()) if told.any() else math.nan,
        covered=float((log.latency_ms <= log.bound_ms)[bounded].mean())
        if bounded.any() else math.nan,
        mean_level=float(log.chosen.mean()),
    )


def limit_broken(world: World, log: FlightLog) -> np.ndarray:
    """Frames during which power, temperature or battery were beyond their limits, bool."""
    frames = max(1, round(MEAN_S / float(np.median(world.period_s))))
    total = np.concatenate([[0.0], np.cumsum(log.power_w)])
    ends = np.arange(1, world.frames + 1)
    starts = np.maximum(0, ends - frames)
    mean_w = (total[ends] - total[starts]) / (ends - starts)
    # A fallen budget binds one mean later: nobody can take back what was drawn before.
    windows = zip(starts, ends, strict=True)
    loosest_w = np.array([world.power_limit_w[start:end].max() for start, end in windows])
    broken = mean_w > loosest_w * POWER_TOLERANCE
    broken[: frames - 1] = False  # there is no whole mean yet
    if world.cooler is not None:
        broken |= log.temperature_c >= world.cooler.trip_c
    return broken | log.dead


def _worth(world: World, log: FlightLog, in_time: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Worth of the answer at hand at every camera frame."""
    fades = world.fade().tolist()
    worth, at_hand = [], 0.0
    for n, (skipped, good, value) in enumerate(
        zip(log.skipped.tolist(), in_time.tolist(), accuracy.tolist(), strict=True)
    ):
        at_hand *= fades[n - 1] if n else 0.0
        if good:
            at_hand = value
        worth.append(at_hand if good or skipped else 0.0)
    return np.array(worth)


def _recovery_s(world: World, taken: np.ndarray, in_time: np.ndarray, broken: np.ndarray
                ) -> float:
    """The longest way back to good frames after any of the world's steps; nan without steps."""
    longest = math.nan
    if not world.steps_s:
        return longest
    bad = (taken & ~in_time) | broken
    ends = [*world.steps_s[1:], float(world.arrival_s[-1])]
    for start_s, end_s in zip(world.steps_s, ends, strict=True):
        inside = np.flatnonzero((world.arrival_s >= start_s) & (world.arrival_s < end_s))
        calm = np.convolve(~bad[inside], np.ones(CALM, int), 'valid') == CALM
        found = np.flatnonzero(calm)
        taken_s = float(world.arrival_s[inside[found[0]]] - start_s) if len(found) else math.inf
        longest = taken_s if math.isnan(longest) else max(longest, taken_s)
    return longest
