# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency of finished files on this machine, before there is a ladder to profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uav_prune_perception.ladder import DeviceProfile
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.profiling import PowerMeter, load_measured, profile_engines
from uav_prune_perception.onboard.profiling.levels import Progress
from uav_prune_perception.onboard.telemetry.machine import usable_cores

from .onnx_export import ExportError


def profile_levels(
    models: Mapping[str, Path],
    *,
    runs: int = 100,
    threads: int = 0,
    precisions: Mapping[str, str] | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, DeviceProfile]:
    """What one frame's inference of every level costs; see `onboard.profiling.profile_engines`.

    Args:
        models: ONNX file by level name.
        runs: timed inferences of each level, after a warm-up.
        threads: of the engine; 0 = one for each usable core.
        precisions: of the files, by the same names; fp32 where nothing is said.
        progress: told (rounds done, rounds in all).

    Raises:
        ExportError: ONNX Runtime refuses a file.
    """
    threads = threads or usable_cores()
    engines = {
        name: OnnxRuntimeEngine(
            path, threads=threads, precision=(precisions or {}).get(name, 'fp32')
        )
        for name, path in models.items()
    }
    try:
        memory = {name: load_measured(engine) for name, engine in engines.items()}
        return profile_engines(
            engines, runs=runs, memory_mib=memory, meter=PowerMeter(), progress=progress
        )
    except EngineError as error:
        raise ExportError(str(error)) from None
