# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which engine flies a ladder on this machine, in which precision, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ...ladder import Ladder, Level
from ..telemetry.machine import device_name
from .background_build import build_in_background
from .base import Engine, EngineError
from .onnx_runtime import PREFERRED, OnnxRuntimeEngine

EngineFactory = Callable[[Ladder, Level], Engine]
ENGINES = ('auto', 'onnxruntime', 'tensorrt')

log = logging.getLogger(__name__)


def choose_engines(
    ladder: Ladder,
    *,
    engine: str = 'auto',
    precision: str = 'fp32',
    threads: int = 0,
    cuda_graph: bool = False,
    allow_build: bool = False,
) -> EngineFactory:
    """The factory of the engines that fly ``ladder`` here. Nothing is loaded.

    Args:
        ladder: to be flown.
        engine: one of `ENGINES`. ``auto``: TensorRT where it is installed and every level has a
            plan in the cache, else ONNX Runtime; the reason is logged. A level never flies
            on another engine than its neighbours: their order would no longer hold.
        precision: 'fp32', 'fp16', 'int8', or 'auto': of each level the one that was measured
            fastest on this machine (fp32 where nothing was measured).
        threads: of an engine on the CPU; 0 = one for each core.
        cuda_graph: TensorRT records a frame's work once and launches it as one.
        allow_build: where only plans are missing for TensorRT, a process in the background
            builds them, for the next time; nothing waits for it.

    Raises:
        EngineError: the engine that was asked for cannot be had; says what mends it.
    """
    if engine not in ENGINES:
        raise EngineError(f'no engine "{engine}"; there are {", ".join(ENGINES)}')
    if engine in ('auto', 'tensorrt'):
        from .tensorrt_run import NoPlan, tensorrt_factory

        try:
            factory = tensorrt_factory(ladder, precision, cuda_graph=cuda_graph)
        except EngineError as error:
            if allow_build and isinstance(error, NoPlan):
                build_in_background(ladder, precision)
            if engine == 'tensorrt':
                raise
            log.info('TensorRT is not used: %s; flying ONNX Runtime', error)
        else:
            log.info('TensorRT is used: every level has a plan for this machine')
            return factory
    def make(ladder: Ladder, level: Level) -> Engine:
        name = precision_of(level, precision)
        path = ladder.file(level, level.precision(name).file)
        return OnnxRuntimeEngine(path, threads=threads, providers=PREFERRED, precision=name)

    return make


def precision_of(level: Level, asked: str, device: str = '', engine: str = 'ONNX') -> str:
    """The precision in which a level is flown.

    Args:
        level: of the ladder.
        asked: a precision, or 'auto'.
        device: whose profiles count; '' = this machine.
        engine: how the titles of the profiles that count begin.
    """
    if asked != 'auto':
        return asked
    device = device or device_name()
    measured = {
        name: profile.latency_ms_p50
        for name in level.precisions
        if (profile := level.precision(name).profiles.get(device)) is not None
        and profile.engine.startswith(engine)
    }
    return min(measured, key=measured.__getitem__) if 'fp32' in measured else 'fp32'
