# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the engine that runs everywhere.

The session's options were chosen by measurement (docs/engines.md): the highest graph
optimisation level is worth a quarter to a third; arena, memory pattern, I/O binding, preallocated
outputs and flushing denormals change nothing on a CPU that could be told from noise, and are left
as they are. Spinning makes several threads faster and is off all the same: it burns a core between
two frames, and a drone shares its cores.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import EngineError, timed_runs

CPU = ('CPUExecutionProvider',)
# Tried in this order. TensorRT's provider is left out: it builds engines inside `load`, for
# minutes; `tensorrt_run` flies plans that were built before.
PREFERRED = ('CUDAExecutionProvider', 'CPUExecutionProvider')

_DTYPES: dict[str, np.dtype[Any]] = {
    'tensor(float)': np.dtype(np.float32),
    'tensor(float16)': np.dtype(np.float16),
    'tensor(double)': np.dtype(np.float64),
    'tensor(uint8)': np.dtype(np.uint8),
}

log = logging.getLogger(__name__)


class OnnxRuntimeEngine:
    """One ONNX model in one ONNX Runtime session; see `Engine` for the methods."""

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 0,
        providers: Sequence[str] = CPU,
        precision: str = 'fp32',
    ) -> None:
        """Nothing is read yet.

        Args:
            path: of the ONNX file.
            threads: for one inference on the CPU; 0 = one for each core.
            providers: execution providers, best first. The first that really runs the model
                is taken; why the others are not is logged.
            precision: of the file, for the title.
        """
        self.path = Path(path)
        self.name = 'onnxruntime'
        self.threads = threads
        self.providers = tuple(providers)
        self.precision = precision
        self.provider = ''
        self.input_names: tuple[str, ...] = ()
        self.input_shapes: tuple[tuple[int | None, ...], ...] = ()
        self.input_dtypes: tuple[np.dtype, ...] = ()
        self.output_names: tuple[str, ...] = ()
        self.output_shapes: tuple[tuple[int | None, ...], ...] = ()
        self._session: Any = None

    @property
    def title(self) -> str:
        """Such as 'ONNX Runtime 1.23.2 CPU fp32, 1 thread'."""
        import onnxruntime

        where = self.provider.removesuffix('ExecutionProvider')
        title = f'ONNX Runtime {onnxruntime.__version__} {where} {self.precision}'
        if where != 'CPU':
            return title
        plural = '' if self.threads == 1 else 's'
        return f'{title}, {self.threads or "all"} thread{plural}'

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on a GPU."""
        return self.provider.startswith(('CUDA', 'Tensorrt', 'NvTensorRT'))

    def load(self) -> None:
        """Read the model. Raises EngineError."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f'onnxruntime cannot be imported: {error}') from None
        onnxruntime.set_default_logger_severity(4)  # faults come as exceptions; keep stderr clean
        # A compile-time list: the hardware and its libraries are another matter.
        built_for = onnxruntime.get_available_providers()
        absent = [f'{name} is not in this ONNX Runtime' for name in self.providers
                  if name not in built_for]
        failed: list[str] = []
        for provider in self.providers:
            if provider not in built_for:
                continue
            try:
                self._open(onnxruntime, provider)
            except EngineError as error:
                self.close()
                failed.append(f'{provider}: {error}')
                continue
            self.provider = provider
            log.debug('%s: %s; %s', self.path, provider, '; '.join(absent))
            if failed:
                log.warning('%s; using %s', '; '.join(failed), provider)
            return
        raise EngineError('; '.join(failed + absent) or f'{self.path}: no execution provider')

    def _open(self, onnxruntime: Any, provider: str) -> None:
        """A session on one provider, believed after a real inference. Raises EngineError."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Several sessions stay resident; none may burn the battery by spinning between frames.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        chosen = list(dict.fromkeys((provider, *CPU)))
        try:
            session = onnxruntime.InferenceSession(
                str(self.path), sess_options=options, providers=chosen
            )
        except Exception as error:
            raise EngineError(f'{self.path}: cannot be loaded: {_first_line(error)}') from None
        if session.get_providers()[0] != provider:
            got = session.get_providers()[0]
            raise EngineError(f'{self.path}: {provider} is not to be had, only {got}')
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self.input_names = tuple(item.name for item in inputs)
        self.input_shapes = tuple(_shape(item) for item in inputs)
        self.input_dtypes = tuple(_DTYPES.get(item.type, np.dtype(object)) for item in inputs)
        self.output_names = tuple(item.name for item in outputs)
        self.output_shapes = tuple(_shape(item) for item in outputs)
        self._session = session
        if provider not in CPU:  # the CPU's is proved by warming up, like every engine
            self.warm_up(1)

    def warm_up(self, runs: int) -> list[float]:
        """Milliseconds of ``runs`` inferences on a made-up picture. Raises EngineError."""
        return timed_runs(self, runs)

    def infer(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run on one tensor. Raises EngineError."""
        if self._session is None:
            raise EngineError(f'{self.path}: is not loaded')
        try:
            values = self._session.run(None, {self.input_names[0]: tensor})
        except Exception as error:
            raise EngineError(f'{self.path}: inference failed: {_first_line(error)}') from None
        outputs = dict(zip(self.output_names, values, strict=True))
        for name, value in outputs.items():
            check_finite(value, self.path, name)
        return outputs

    def close(self) -> None:
        """Drop the session."""
        self._session = None


def check_finite(value: np.ndarray, path: Path, name: str) -> None:
    """Raise EngineError when an output holds nan or infinity."""
    # The two extremes are finite only if everything between them is (nan spreads).
    if value.size and not (np.isfinite(value.max()) and np.isfinite(value.min())):
        raise EngineError(f'{path}: output "{name}" is not finite')


def _shape(item: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in item.shape)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
