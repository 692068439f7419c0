# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT: the engine of a Jetson. Runs plans that ``uav-prune build`` has made; builds nothing.

All levels of a ladder run one after the other on one stream, so their contexts share one scratch
buffer as large as the largest needs (NVIDIA/TensorRT issue 3276); weights stay resident for each.
A frame goes through page-locked buffers: one copy in, the network, one copy out, one wait. Only
calls that exist from TensorRT 8.5 to 11 are used; the two ways of handing over scratch memory are
told apart by name.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ...ladder import Ladder, LadderError, Level
from .base import Engine, EngineError, timed_runs
from .cuda_runtime import CudaRuntime
from .onnx_runtime import check_finite
from .selection import EngineFactory, precision_of
from .tensorrt_build import Machine, machine, plan_command
from .tensorrt_cache import PlanCache, PlanKey

log = logging.getLogger(__name__)


class NoPlan(EngineError):  # noqa: N818, it says what is
    """TensorRT could fly the ladder if its plans were built."""


class Scratch:
    """Device memory that contexts which never run at the same time share; it only grows."""

    def __init__(self, cuda: CudaRuntime) -> None:
        self.cuda = cuda
        self.address = self.size = 0
        self.users: set[TensorRtEngine] = set()

    def join(self, engine: TensorRtEngine, size: int) -> None:
        """Make room for another engine; the others are told the new place."""
        if size > self.size:
            old, self.address = self.address, self.cuda.allocate(size)
            self.size = size
            for user in self.users:
                user.use_scratch()
            if old:
                self.cuda.free(old)
        self.users.add(engine)
        engine.use_scratch()

    def leave(self, engine: TensorRtEngine) -> None:
        """The last one gives the memory back."""
        self.users.discard(engine)
        if not self.users and self.address:
            self.cuda.free(self.address)
            self.address = self.size = 0


class TensorRtEngine:
    """One plan; see `Engine` for the methods. All engines of a ladder share ``scratch``.

    Args:
        here: this machine.
        cache: where the plan lies.
        key: of the plan.
        mend: the command that builds it, for messages.
        scratch: shared with the other levels.
        cuda_graph: record copies and network once, and launch them as one.
    """

    def __init__(
        self,
        here: Machine,
        cache: PlanCache,
        key: PlanKey,
        mend: str,
        scratch: Scratch,
        *,
        cuda_graph: bool = False,
    ) -> None:
        self.name = 'tensorrt'
        self.title = f'TensorRT {here.trt.__version__} {key.precision}'
        self.on_gpu = True
        self.path = cache.plan(key)
        self.input_names: tuple[str, ...] = ()
        self.input_shapes: tuple[tuple[int | None, ...], ...] = ()
        self.input_dtypes: tuple[np.dtype, ...] = ()
        self.output_names: tuple[str, ...] = ()
        self.output_shapes: tuple[tuple[int | None, ...], ...] = ()
        self._here, self._cuda = here, here.cuda
        self._cache, self._key, self._mend = cache, key, mend
        self._scratch, self._wants_graph = scratch, cuda_graph
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._scratch_size = self._stream = self._graph = 0
        self._host: dict[str, np.ndarray] = {}
        self._device: dict[str, int] = {}

    def load(self) -> None:
        """Read the plan and reserve all memory. Raises EngineError."""
        self.close()
        try:
            self._deserialise(self._cache.read(self._key, self._mend))
            self._describe()
            self._stream = self._cuda.stream()
            self._reserve()
        except EngineError:
            self.close()
            raise
        except Exception as error:  # the bindings raise what they like
            self.close()
            reason = f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
            raise EngineError(f'{self.path}: cannot be loaded: {reason}') from error

    def warm_up(self, runs: int) -> list[float]:
        """Milliseconds of ``runs`` inferences on a made-up picture. Raises EngineError."""
        return timed_runs(self, runs)

    def infer(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run on one tensor. Raises EngineError."""
        if self._context is None:
            raise EngineError(f'{self.path}: is not loaded')
        (name,) = self.input_names
        if tensor.shape != self._host[name].shape:
            raise EngineError(
                f'{self.path}: inference failed: the picture is {tensor.shape}, the plan takes '
                f'{self._host[name].shape}'
            )
        np.copyto(self._host[name], tensor)
        if self._graph:
            self._cuda.launch(self._graph, self._stream)
        else:
            self._enqueue()
        self._cuda.synchronise(self._stream)
        if self._wants_graph and not self._graph:
            self._capture()  # after a plain run: TensorRT sets itself up in the first one
        # The page-locked buffers are written again with the next frame: give copies away.
        outputs = {output: self._host[output].copy() for output in self.output_names}
        for output, value in outputs.items():
            check_finite(value, self.path, output)
        return outputs

    def close(self) -> None:
        """Free everything; may be called twice."""
        self._forget_graph()
        self._context = None
        if self in self._scratch.users:
            self._scratch.leave(self)
        self._engine = self._runtime = None
        for address in self._device.values():
            self._cuda.free(address)
        for array in self._host.values():
            self._cuda.free_pinned(array)
        self._device, self._host = {}, {}
        if self._stream:
            self._cuda.destroy_stream(self._stream)
            self._stream = 0

    def use_scratch(self) -> None:
        """Tell the context where the scratch memory is (now)."""
        self._forget_graph()  # it has the old address in it
        context, scratch = self._context, self._scratch
        if hasattr(context, 'set_device_memory'):  # 10 and later
            context.set_device_memory(scratch.address, scratch.size)
        else:
            context.device_memory = scratch.address

    def _deserialise(self, plan: bytes) -> None:
        trt = self._here.trt
        # The runtime must outlive its engines, and the logger the runtime.
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.Severity.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f'{self.path}: TensorRT {trt.__version__} does not take the plan (its log is on '
                f'stderr); run "{self._mend} --again" on this machine'
            )
        strategies = getattr(trt, 'ExecutionContextAllocationStrategy', None)
        if strategies is not None:  # 10 and later
            self._context = self._engine.create_execution_context(strategies.USER_MANAGED)
            size = getattr(self._engine, 'device_memory_size_v2', None)  # from 10.1 on
            self._scratch_size = int(self._engine.device_memory_size if size is None else size)
        else:
            self._context = self._engine.create_execution_context_without_device_memory()
            self._scratch_size = int(self._engine.device_memory_size)
        if self._context is None:
            raise EngineError(f'{self.path}: TensorRT makes no context; is the memory full?')

    def _describe(self) -> None:
        trt, engine = self._here.trt, self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for name in names:
            if engine.get_tensor_dtype(name) != trt.DataType.FLOAT:
                raise EngineError(
                    f'{self.path}: tensor "{name}" is {engine.get_tensor_dtype(name)}, must be '
                    'float32; inputs and outputs keep their type in every precision'
                )
        shapes = {name: tuple(int(n) for n in engine.get_tensor_shape(name)) for name in names}
        for name, shape in shapes.items():
            if min(shape, default=1) < 1:
                raise EngineError(f'{self.path}: tensor "{name}" has an open shape {shape}')
        inputs = [
            name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        ]
        outputs = [name for name in names if name not in inputs]
        if len(inputs) != 1:
            raise EngineError(f'{self.path}: has {len(inputs)} inputs, must have one')
        self.input_names, self.output_names = tuple(inputs), tuple(outputs)
        self.input_shapes = tuple(shapes[name] for name in inputs)
        self.output_shapes = tuple(shapes[name] for name in outputs)
        self.input_dtypes = (np.dtype(np.float32),)

    def _reserve(self) -> None:
        shapes = (*self.input_shapes, *self.output_shapes)
        for name, shape in zip((*self.input_names, *self.output_names), shapes, strict=True):
            self._host[name] = self._cuda.pinned([int(size or 1) for size in shape])
            self._device[name] = self._cuda.allocate(self._host[name].nbytes)
            if not self._context.set_tensor_address(name, self._device[name]):
                raise EngineError(f'{self.path}: TensorRT refuses the address of "{name}"')
        self._scratch.join(self, self._scratch_size)

    def _enqueue(self) -> None:
        for name in self.input_names:
            self._cuda.copy_in(self._device[name], self._host[name], self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError(f"{self.path}: inference failed; TensorRT's log is on stderr")
        for name in self.output_names:
            self._cuda.copy_out(self._host[name], self._device[name], self._stream)

    def _capture(self) -> None:
        try:
            self._cuda.begin_capture(self._stream)
            try:
                self._enqueue()
            finally:
                self._graph = self._cuda.end_capture(self._stream)
        except EngineError as error:
            self._wants_graph = False
            log.warning('%s: no CUDA graph, running without: %s', self.title, error)

    def _forget_graph(self) -> None:
        if self._graph:
            self._cuda.destroy_graph(self._graph)
            self._graph = 0


def tensorrt_factory(
    ladder: Ladder,
    precision: str,
    *,
    here: Machine | None = None,
    cache: PlanCache | None = None,
    cuda_graph: bool = False,
) -> EngineFactory:
    """Engines of a ladder whose plans all lie in the cache. Loads nothing, builds nothing.

    Args:
        ladder: to be flown.
        precision: of its levels, or 'auto'; see `precision_of`.
        here: in place of this machine.
        cache: in place of the user's.
        cuda_graph: see `TensorRtEngine`.

    Raises:
        EngineError: no TensorRT, no GPU, or a level without such a variant; one line.
        NoPlan: a level without a plan for this machine; with the command that builds it.
    """
    here, cache = here or machine(), cache or PlanCache()
    scratch = Scratch(here.cuda)

    def key(level: Level) -> PlanKey:
        return here.key(ladder, level, precision_of(level, precision, engine='TensorRT'))

    for level in ladder.levels:
        try:
            wanted = key(level)
        except LadderError as error:
            raise EngineError(str(error)) from None
        if not cache.is_sound(wanted):
            raise NoPlan(
                f'level {level.name}: {cache.why_not(wanted)}; run '
                f'"{plan_command(ladder, wanted.precision)}" on this machine'
            )

    def make(ladder: Ladder, level: Level) -> Engine:
        wanted = key(level)
        mend = plan_command(ladder, wanted.precision)
        return TensorRtEngine(here, cache, wanted, mend, scratch, cuda_graph=cuda_graph)

    return make
