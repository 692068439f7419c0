# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What each layer of a network costs in ONNX Runtime on this machine, from its own profiler."""

from __future__ import annotations

import json
import math
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .onnx_export import ExportError

# Operators that have weights as their second input; everything else is counted as the rest.
WEIGHTED = ('Conv', 'FusedConv', 'ConvTranspose', 'Gemm', 'FusedGemm', 'MatMul')


@dataclass(frozen=True)
class LayerTime:
    """One weighted operator.

    Attributes:
        weight: shape of its weights.
        pixels: of its output (height * width); 1 for a matrix product.
        ms: milliseconds, the best of the runs: what a neighbour does only adds.
    """

    weight: tuple[int, ...]
    pixels: int
    ms: float


@dataclass(frozen=True)
class OtherTime:
    """An operator without weights.

    Attributes:
        output: shape of its first output.
        ms: milliseconds, the best of the runs.
    """

    output: tuple[int, ...]
    ms: float


def layer_times(
    path: str | Path, picture: np.ndarray, *, runs: int = 10, threads: int = 1
) -> tuple[list[LayerTime], list[OtherTime]]:
    """Times of the operators with weights, and of those without, in the order of execution.

    Args:
        path: an ONNX file with one input.
        picture: float32, as the file wants it.
        runs: after two that only warm up.
        threads: of the engine.

    Raises:
        ExportError: ONNX Runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix='uav_prune_') as folder:
        options.profile_file_prefix = str(Path(folder) / 'profile')
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
            for _ in range(runs + 2):
                session.run(None, {session.get_inputs()[0].name: picture})
            events = json.loads(Path(session.end_profiling()).read_text())
        except Exception as error:  # ONNX Runtime raises kinds of its own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ExportError(f'ONNX Runtime: {reason}') from None
    return _summed_up(events)


def _summed_up(events: list[dict[str, Any]]) -> tuple[list[LayerTime], list[OtherTime]]:
    took: dict[str, list[float]] = defaultdict(list)
    about: dict[str, dict[str, Any]] = {}
    for event in events:
        name = str(event.get('name', ''))
        if event.get('cat') == 'Node' and name.endswith('_kernel_time'):
            took[name].append(event['dur'] / 1e3)
            about[name] = event['args']
    layers, others = [], []
    for name, values in took.items():
        facts, ms = about[name], min(values)
        inputs = facts.get('input_type_shape', [])
        output = _shape(next(iter(facts.get('output_type_shape', [])), {}))
        if facts.get('op_name') not in WEIGHTED or len(inputs) < 2:
            others.append(OtherTime(output, ms))
            continue
        layers.append(LayerTime(_shape(inputs[1]), math.prod(output[2:]), ms))
    return layers, others


def _shape(typed: dict[str, list[int]]) -> tuple[int, ...]:
    """{'float': [1, 3, 64, 96]} -> (1, 3, 64, 96)."""
    return tuple(next(iter(typed.values()), []))
