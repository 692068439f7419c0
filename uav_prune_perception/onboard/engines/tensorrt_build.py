# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From an ONNX file to a TensorRT plan, one code path for TensorRT 8.5 to 11.

What a version offers is found by name, never by its number, and flags are never integers: from
10 to 11 the value of ``STRONGLY_TYPED`` changed and its old one means something else. Which calls
exist in which version is in ``test/onboard/engines/tensorrt_api.yaml``, read from NVIDIA's own
bindings; the tests run this file against doubles generated from it.

Precision lies in the file where TensorRT can take it from there (strongly typed networks, 10 and
later): fp16 by casts, int8 by Q/DQ. TensorRT 8 gets the fp32 file and its FP16 flag, or the
Q/DQ file and its INT8 flag. Calibrators are not used: 11 has none.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ladder import Ladder, LadderError, Level
from ...ladder.durable import replacing
from .base import EngineError
from .cuda_runtime import CudaRuntime, Gpu
from .tensorrt_cache import PlanCache, PlanKey, key_of

WORKSPACE_MIB = 1024  # an upper limit for scratch memory; boards share it with everything else
TELL_S = 10.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """What plans are made with and for.

    Attributes:
        trt: the ``tensorrt`` module.
        cuda: the CUDA runtime.
        gpu: the current device.
    """

    trt: Any
    cuda: CudaRuntime
    gpu: Gpu

    @property
    def strongly_typed(self) -> bool:
        """Whether the network's own types can decide the precision (9 and later).

        11 still has the flag and ignores it, for there is nothing else; a version without both
        this flag and FP16 is taken to be one that has dropped it.
        """
        flag = hasattr(self.trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED')
        return flag or not hasattr(self.trt.BuilderFlag, 'FP16')

    def key(self, ladder: Ladder, level: Level, precision: str) -> PlanKey:
        """The key of a level's plan on this machine.

        Raises:
            LadderError: the level has no file for this precision.
        """
        options = {
            'strongly_typed': str(self.strongly_typed), 'workspace_mib': str(WORKSPACE_MIB),
        }
        onnx = source_file(ladder, level, precision, self.strongly_typed)
        return key_of(onnx, precision, self.trt.__version__, self.gpu, options)


def machine() -> Machine:
    """TensorRT, CUDA and the GPU of this machine.

    Raises:
        EngineError: one of them is missing; one line.
    """
    try:
        import tensorrt
    except Exception as error:  # a broken installation raises anything, OSError above all
        raise EngineError(f'TensorRT cannot be imported: {error}') from None
    cuda = CudaRuntime()
    return Machine(tensorrt, cuda, cuda.gpu())


def source_file(ladder: Ladder, level: Level, precision: str, strongly_typed: bool) -> Path:
    """The ONNX file from which a level's plan is built.

    Raises:
        LadderError: the ladder has no such variant.
    """
    if precision == 'int8':
        raise LadderError(
            'TensorRT does not read int8 (unsigned activations); use int8_symmetric, and name it '
            'in export.precisions of the recipe'
        )
    if precision == 'fp16' and not strongly_typed:
        return ladder.file(level)
    return ladder.file(level, level.precision(precision).file)


def build_level(
    here: Machine,
    ladder: Ladder,
    level: Level,
    precision: str,
    cache: PlanCache,
    *,
    again: bool = False,
    tell: Tell = lambda text: None,
) -> tuple[Path, bool]:
    """Build a level's plan, unless the cache has it.

    Args:
        here: this machine.
        ladder: of the level.
        level: to build.
        precision: 'fp32', 'fp16' or 'int8_symmetric'.
        cache: where plans lie.
        again: build even if there is one.
        tell: is told how it goes, in lines.

    Returns:
        the plan's path, and whether it was built now.

    Raises:
        EngineError: TensorRT refuses the network; with its own words.
        LadderError: the level has no file for this precision.
        OSError: the disk is full.
    """
    key = here.key(ladder, level, precision)
    if not again and cache.is_sound(key):
        return cache.plan(key), False
    onnx, what = source_file(ladder, level, precision, here.strongly_typed), f'level {level.name}'
    before = cache.facts(key)
    with cache.building(key, lambda: tell(f'{what}: somebody else is building it; waiting')):
        if cache.facts(key) not in (None, before):  # it was just built
            return cache.plan(key), False
        started = time.monotonic()
        with _ticking(f'{what} {precision}', tell):
            plan = build_plan(
                here, onnx, precision, timing_cache=cache.timing_cache(key.tensorrt, here.gpu),
                tell=tell,
            )
        facts = {
            'ladder': ladder.name, 'level': level.name, 'onnx': onnx.name,
            'build_s': round(time.monotonic() - started, 1),
        }
        return cache.store(key, plan, facts), True


def build_plan(
    here: Machine, onnx: Path, precision: str, *, timing_cache: Path, tell: Tell
) -> bytes:
    """The serialised engine of an ONNX file with fixed shapes.

    Raises:
        EngineError: TensorRT refuses the file, or cannot build it.
    """
    trt = here.trt
    logger = trt.Logger(trt.Logger.Severity.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(network_flags(trt, here.strongly_typed))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        words = '; '.join(str(parser.get_error(n)) for n in range(min(3, parser.num_errors)))
        raise EngineError(f'{onnx}: TensorRT {trt.__version__} does not take it: {words[:300]}')
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_MIB << 20)
    for name in precision_flags(precision, here.strongly_typed):
        flag = getattr(trt.BuilderFlag, name, None)
        if flag is None:
            raise EngineError(f'TensorRT {trt.__version__}: no {name} flag, {precision} needs it')
        config.set_flag(flag)
    timing = config.create_timing_cache(_content(timing_cache))
    if timing is None or not config.set_timing_cache(timing, False):
        # A damaged file, or one of another device: an empty cache is always taken.
        config.set_timing_cache(config.create_timing_cache(b''), False)
    if hasattr(trt, 'IProgressMonitor'):
        config.progress_monitor = _progress_monitor(trt, tell)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(
            f'{onnx}: TensorRT {trt.__version__} cannot build it as {precision}; its log is on '
            'stderr'
        )
    timed = config.get_timing_cache()
    try:
        if timed is not None:
            _keep(timing_cache, bytes(timed.serialize()))
    except OSError as error:  # minutes of building are worth more than the next one's head start
        tell(f'{timing_cache}: not kept: {error.strerror}')
    return bytes(plan)


def network_flags(trt: Any, strongly_typed: bool) -> int:
    """Creation flags by name: explicit batch where it still must be said, types of the file."""
    known = trt.NetworkDefinitionCreationFlag
    names = ['EXPLICIT_BATCH', *(['STRONGLY_TYPED'] if strongly_typed else [])]
    return sum(1 << int(getattr(known, name)) for name in names if hasattr(known, name))


def precision_flags(precision: str, strongly_typed: bool) -> tuple[str, ...]:
    """Builder flags that a weakly typed network needs; a strongly typed one takes none."""
    if strongly_typed or precision == 'fp32':
        return ()
    # What is not quantised is better off in fp16, too.
    return ('FP16',) if precision == 'fp16' else ('INT8', 'FP16')


def plan_command(ladder: Ladder, precision: str) -> str:
    """What the user types to build a ladder's plans."""
    return f'uav-prune build {ladder.folder} --precision {precision}'


def _progress_monitor(trt: Any, tell: Tell) -> Any:
    """TensorRT's own progress (10 and later): the names of the outer phases."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                tell(f'{phase_name}: {num_steps} steps')

        def phase_finish(self, phase_name: str) -> None:
            return

        def step_complete(self, phase_name: str, step: int) -> bool:
            return True  # False would end the build

    return Monitor()


@contextlib.contextmanager
def _ticking(what: str, tell: Tell) -> Iterator[None]:
    """Say now and then that it goes on: TensorRT 8 says nothing by itself, for minutes."""
    done = threading.Event()
    started = time.monotonic()

    def tick() -> None:
        while not done.wait(TELL_S):
            tell(f'{what}: building for {time.monotonic() - started:.0f} s')

    tell(f'{what}: building')
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b''


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


