# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Proof that an ONNX file computes what the torch network computes."""

from __future__ import annotations

import copy
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
BOX_ROWS = 4
# An engine with up to so many times the network's own rounding error is no other network: one
# input's largest errors differed by a factor of 6 where both were mere rounding.
AS_EXACT = 10.0
NOT_FINITE = '; clamp what its decoding exponentiates, or train longer'


@dataclass(frozen=True)
class Agreement:
    """How far engine and network agree, and whether they say anything.

    Attributes:
        relative_error: largest difference of the two: of each output channel, relative to that
            channel's largest value.
        inputs: on so many inputs.
        spread: of each output channel, by how much the answers to different inputs differ, on
            the same scale; 0 where the picture does not matter. Empty for fewer than two.
        rounding: where the difference was above the tolerance, how far the network's own answer
            is from that of the same network in float64; 0 elsewhere.
    """

    relative_error: float
    inputs: int
    spread: tuple[float, ...] = ()
    rounding: float = 0.0


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
    reach: float | None = None,
) -> Agreement:
    """Run both on the same inputs and compare.

    Args:
        model: the network that was exported.
        path: the ONNX file.
        inputs: float32 [1, C, H, W] each; give real pictures, for noise does not reach every
            branch of a detector's decoding.
        tolerance: allowed `Agreement.relative_error`. More is allowed where the engine is about
            as near to the network in float64 as the network itself is in float32: one that has
            learnt for two steps may amplify rounding so much that any order of sums gives
            another answer.
        reach: of a detector, how far from the picture, pixels, a corner's place matters; None
            for others. Beyond, nothing is seen of a box, and an exponential that an
            untrained candidate drives to 1e11 pixels says nothing of the others.

    Raises:
        ExportError: they differ by more, or either gives a number that is not finite.
    """
    engine = open_engine(path)
    was_training = model.training
    model.eval()
    worst, rounding, count, answers = 0.0, 0.0, 0, Answers()
    try:
        for array in inputs:
            with torch.no_grad():
                wanted = model(torch.from_numpy(array)).numpy()
            try:
                got = engine.infer(array)[engine.output_names[0]]
            except EngineError as error:
                mend = NOT_FINITE if 'not finite' in str(error) else ''
                raise ExportError(f'{error}{mend}') from None
            apart = _difference(got, wanted, Path(path), reach)
            worst = max(worst, apart)
            if apart > tolerance:
                own = _rounding(model, array, (got, wanted), Path(path), reach)
                if own is None:
                    raise ExportError(
                        f'{path}: differs from the torch network by {apart:.2g} (allowed '
                        f'{tolerance:.2g}); try another export.opset, or raise export.tolerance '
                        'if that is good enough'
                    )
                rounding = max(rounding, own)
            answers.add(_by_channel(wanted))
            count += 1
    finally:
        model.train(was_training)
    if count == 0:
        raise ExportError(f'{path}: no inputs to compare on')
    return Agreement(worst, count, answers.spread(), rounding)


class Answers:
    """The range of what was said to several inputs, value by value."""

    def __init__(self) -> None:
        self._low: NDArray[np.float32] | None = None
        self._high: NDArray[np.float32] | None = None
        self._count = 0
        self._varies = False

    def add(self, rows: NDArray[np.float32]) -> None:
        """One answer, [channels, values]."""
        low, high = self._low, self._high
        self._varies |= low is not None and low.shape != rows.shape
        if self._varies:
            return
        self._low = rows if low is None else np.minimum(low, rows)
        self._high = rows if high is None else np.maximum(high, rows)
        self._count += 1

    def spread(self) -> tuple[float, ...]:
        """See `Agreement`."""
        if self._varies:  # not even the number of candidates is the same
            return (1.0,) * (BOX_ROWS + 1)
        if self._low is None or self._high is None or self._count < 2:
            return ()
        largest = np.maximum(np.abs(self._low), np.abs(self._high)).max(axis=1)
        moved = (self._high - self._low).max(axis=1)
        return tuple((moved / np.maximum(largest, SMALLEST_SCALE)).tolist())


def _difference(
    got: NDArray[np.float32], wanted: NDArray[np.float32], path: Path, reach: float | None
) -> float:
    if got.shape != wanted.shape:
        raise ExportError(f'{path}: gives {got.shape}, the torch network {wanted.shape}')
    if not np.isfinite(wanted).all():
        raise ExportError(
            f'{path}: the torch network gives numbers that are not finite{NOT_FINITE}'
        )
    rows, others = _by_channel(wanted), _by_channel(got)
    if reach is not None:
        rows, others = (_within(reach, values) for values in (rows, others))
    scale = np.maximum(np.abs(rows).max(axis=1), SMALLEST_SCALE)
    error = np.abs(others - rows).max(axis=1) / scale
    return float(error.max())


def _rounding(
    model: nn.Module, array: NDArray[np.float32],
    answers: tuple[NDArray[np.float32], NDArray[np.float32]], path: Path, reach: float | None,
) -> float | None:
    """The network's own error against float64; None where the engine's is far above it."""
    got, wanted = answers
    try:
        with torch.no_grad():
            exact = copy.deepcopy(model).double()(torch.from_numpy(array).double())
        reference = exact.float().numpy()
    except Exception:  # the user's code may insist on float32
        return None
    if reference.shape != wanted.shape:
        return None
    own = _difference(wanted, reference, path, reach)
    return own if _difference(got, reference, path, reach) <= AS_EXACT * own else None


def _by_channel(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits are one channel: [channels, values]."""
    return output.reshape(output.shape[1] if output.ndim > 2 else 1, -1)


def _within(reach: float, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """A detector's answer with its corners no farther out than ``reach``."""
    return np.concatenate([rows[:BOX_ROWS].clip(-reach, reach), rows[BOX_ROWS:]])
