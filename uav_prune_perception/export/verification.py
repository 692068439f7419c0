# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Proof that an ONNX file computes what the torch network computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine

from .onnx_export import ExportError

# Rows whose largest value is below this are compared on this scale: a class that no picture
# shows has scores of 1e-6, of which any relative error is noise.
SMALLEST_SCALE = 0.05
NOT_FINITE = '; clamp what its decoding exponentiates, or train longer'


@dataclass(frozen=True)
class Agreement:
    """Largest difference found: of each output channel, relative to that channel's largest."""

    relative_error: float
    inputs: int


def open_engine(path: str | Path, *, threads: int = 0) -> OnnxRuntimeEngine:
    """The file in the engine that flies it, loaded.

    Raises:
        ExportError: ONNX Runtime refuses the file.
    """
    engine = OnnxRuntimeEngine(path, threads=threads)
    try:
        engine.load()
    except EngineError as error:
        raise ExportError(str(error)) from None
    return engine


def verify_onnx(
    model: nn.Module,
    path: str | Path,
    inputs: Iterable[NDArray[np.float32]],
    *,
    tolerance: float = 1e-3,
) -> Agreement:
    """Run both on the same inputs and compare.

    Args:
        model: the network that was exported.
        path: the ONNX file.
        inputs: float32 [1, C, H, W] each; give real pictures, for noise does not reach every
            branch of a detector's decoding.
        tolerance: allowed `Agreement.relative_error`.

    Raises:
        ExportError: they differ by more, or either gives a number that is not finite.
    """
    engine = open_engine(path)
    was_training = model.training
    model.eval()
    worst, count = 0.0, 0
    try:
        for array in inputs:
            with torch.no_grad():
                wanted = model(torch.from_numpy(array)).numpy()
            try:
                got = engine.infer(array)[engine.output_names[0]]
            except EngineError as error:
                mend = NOT_FINITE if 'not finite' in str(error) else ''
                raise ExportError(f'{error}{mend}') from None
            worst = max(worst, _difference(got, wanted, Path(path)))
            count += 1
    finally:
        model.train(was_training)
    if count == 0:
        raise ExportError(f'{path}: no inputs to compare on')
    if worst > tolerance:
        raise ExportError(
            f'{path}: differs from the torch network by {worst:.2g} (allowed {tolerance:.2g}); '
            'try another export.opset, or raise export.tolerance if that is good enough'
        )
    return Agreement(worst, count)


def _difference(got: NDArray[np.float32], wanted: NDArray[np.float32], path: Path) -> float:
    if got.shape != wanted.shape:
        raise ExportError(f'{path}: gives {got.shape}, the torch network {wanted.shape}')
    if not np.isfinite(wanted).all():
        raise ExportError(
            f'{path}: the torch network gives numbers that are not finite{NOT_FINITE}'
        )
    rows = wanted.reshape(wanted.shape[1], -1) if wanted.ndim > 2 else wanted.reshape(1, -1)
    scale = np.maximum(np.abs(rows).max(axis=1), SMALLEST_SCALE)
    error = np.abs(got.reshape(rows.shape) - rows).max(axis=1) / scale
    return float(error.max())
