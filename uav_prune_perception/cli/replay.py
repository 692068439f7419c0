# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune replay``: a recorded flight through a ladder, with no ROS installed."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

from uav_prune_perception.ladder import Ladder, open_ladder
from uav_prune_perception.onboard.decode import Decoder
from uav_prune_perception.onboard.options import PipelineOptions, class_thresholds
from uav_prune_perception.onboard.policy.base import Policy
from uav_prune_perception.onboard.policy.registry import DEFAULT, make_policy
from uav_prune_perception.onboard.tiles import Tiling
from uav_prune_perception.replay.player import Replayed, ReplayError, Sink, replay
from uav_prune_perception.replay.source import DEFAULT_HZ, open_source
from uav_prune_perception.replay.telemetry_file import WithTelemetry
from uav_prune_perception.replay.video_sink import VideoSink

from .strict_json import strict_json


def run_replay(options: argparse.Namespace) -> int:
    """Replay, write what was asked for, print what came of it."""
    ladder = open_ladder(options.ladder)
    source = open_source(options.source, topic=options.topic, hz=options.hz)
    if options.telemetry is not None:
        source = WithTelemetry(source, options.telemetry)
    settings, policy = _settings(options, ladder), _policy(options)
    with contextlib.ExitStack() as stack:
        sinks: list[Sink] = []
        if options.video is not None:
            hz = options.hz or DEFAULT_HZ
            sinks.append(stack.enter_context(VideoSink(options.video, ladder.classes, hz)))
        if options.bag is not None:
            from uav_prune_perception.replay.bag_sink import BagSink  # rosbags: a workstation's

            detection = ladder.task == 'detection'
            sinks.append(
                stack.enter_context(BagSink(options.bag, ladder.classes, detection=detection))
            )
        bar = stack.enter_context(_bar())
        step = None
        if bar is not None:
            bar.phase(f'replaying {source.name}', options.limit or source.frames or 1)
            step = bar.step
        done = replay(
            ladder, source, policy=policy, options=settings,
            level=options.level, sinks=sinks, progress=step, limit=options.limit,
        )
    _print(done, ladder, options)
    return 0


def _bar() -> Any:
    """A progress bar to be entered; of None where there is no terminal, or no rich (a drone)."""
    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    try:
        from rich.console import Console

        from .progress import LiveReporter
    except ModuleNotFoundError:
        return contextlib.nullcontext()
    return LiveReporter(Console(stderr=True))


def _settings(options: argparse.Namespace, ladder: Ladder) -> PipelineOptions:
    unknown = [name for name in options.classes or () if name not in ladder.classes]
    if unknown:
        known = ', '.join(ladder.classes)
        raise ReplayError(f'--classes: the ladder has no "{unknown[0]}"; there are {known}')
    try:
        settings = PipelineOptions(
            threads=options.threads, engine=options.engine, precision=options.precision,
            score_threshold=options.score_threshold,
            class_filter=tuple(options.classes or ()),
            class_thresholds=class_thresholds(options.class_threshold, '--class-threshold'),
            class_aware_nms={'class_aware': True, 'agnostic': False}.get(options.nms),
            max_detections=options.max_detections,
            tiling=Tiling(options.tile_width, options.tile_overlap) if options.tile_width
            else None,
        )
        Decoder(ladder, settings)  # knows the ladder's classes
    except ValueError as error:
        raise ReplayError(str(error)) from None
    return settings


def _policy(options: argparse.Namespace) -> Policy:
    name = options.policy or DEFAULT
    deadline = {} if name == 'static' else {'deadline_ms': options.deadline_ms}
    try:
        return make_policy(name, **deadline)
    except ValueError as error:
        raise ReplayError(f'--policy: {error}') from None


def _print(done: Replayed, ladder: Ladder, options: argparse.Namespace) -> None:
    assert done.statistics is not None
    if options.json:
        print(strict_json(dataclasses.asdict(done), indent=1))
        return
    speed = done.recorded_s / done.wall_s if done.wall_s else 0.0
    left_out = f', {done.skipped} left out by the policy' if done.skipped else ''
    print(f'{done.source}: {done.frames} pictures of {done.recorded_s:.1f} s{left_out}, '
          f'in {done.wall_s:.1f} s ({speed:.1f} times real time)')
    total = done.statistics.stages_ms['total']
    if done.statistics.engine_runs > done.frames:
        print(f'{done.statistics.engine_runs / done.frames:.1f} runs of the engine for a picture')
    print(f'processing p50 {total.p50:.1f} ms, p95 {total.p95:.1f} ms, p99 {total.p99:.1f} ms')
    shares = done.statistics.level_frames
    for level in ladder.levels:
        print(f'  level {level.name:8} {shares.get(level.name, 0):6} pictures')
    what = 'boxes' if ladder.task == 'detection' else 'pictures'
    for name, count in sorted(done.found.items(), key=lambda item: -item[1]):
        print(f'  {name:14} {count:6} {what}')
    for t_s, name, reason in done.changes:
        print(f'{t_s:8.1f} s  level {name}: {reason}')
    for path in (options.video, options.bag):
        if path is not None:
            print(f'written: {Path(path)}')
