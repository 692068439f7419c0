# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What every inference engine can do."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np


class EngineError(RuntimeError):
    """An engine cannot be loaded or cannot be trusted any more. One line, ready to print."""


class Engine(Protocol):
    """One network, ready to run; used by one thread at a time.

    ``input_*`` and ``output_*`` are known after `load`; a dimension the model leaves open is None.
    """

    name: str
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    input_dtypes: tuple[np.dtype, ...]
    output_names: tuple[str, ...]
    output_shapes: tuple[tuple[int | None, ...], ...]

    @property
    def title(self) -> str:
        """Library, version, where it runs, precision, threads: for profiles and logs."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU does the work; known after `load`."""
        ...

    def load(self) -> None:
        """Make it ready to run.

        Raises:
            EngineError: the file is missing, damaged, or needs what this machine lacks.
        """
        ...

    def warm_up(self, runs: int) -> list[float]:
        """Run on a made-up picture; the milliseconds of every run.

        Raises:
            EngineError: it does not run, or its output is not finite.
        """
        ...

    def infer(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run on one float32 [1, channels, height, width] tensor; outputs by name.

        Raises:
            EngineError: it does not run, or its output is not finite.
        """
        ...

    def close(self) -> None:
        """Free what it holds; may be called twice."""
        ...


def timed_runs(engine: Engine, runs: int) -> list[float]:
    """Milliseconds of ``runs`` inferences of a loaded engine on a made-up picture.

    Raises:
        EngineError: it does not run, or its output is not finite.
    """
    shape = [size or 1 for size in engine.input_shapes[0]] if engine.input_shapes else [1]
    tensor = np.random.default_rng(0).random(shape, np.float32)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        engine.infer(tensor)
        times.append((time.perf_counter() - start) * 1e3)
    return times
