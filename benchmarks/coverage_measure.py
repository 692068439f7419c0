# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What `coverage.py` measures on any tool's result: MACs, and the same numbers in ONNX Runtime."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

ONNX_TOLERANCE = 1e-3


def macs_of(model: Any, example: tuple[Any, ...]) -> float:
    """Measured multiply-accumulates."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # The counter trips over parameters that are passed as inputs (class tokens) without this.
    model = copy.deepcopy(model).requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*copy.deepcopy(example))
    return counter.get_total_flops() / 2


def floats(outputs: Any) -> list[Any]:
    """Floating-point tensors of nested outputs."""
    import torch
    from torch.utils import _pytree as pytree

    leaves = pytree.tree_leaves(outputs)
    return [t for t in leaves if isinstance(t, torch.Tensor) and t.is_floating_point()]


def error_up_to_order(expected: list[Any], outputs: list[Any]) -> float:
    """Relative error; where rows come ranked (RT-DETR), of sorted columns, if that is less.

    With random weights hundreds of scores are equal to rounding, so ranks are chance.
    """
    from uav_prune_perception.channels.verify import relative_error

    error = relative_error(expected, outputs)
    if error > 1e-4 and all(t.dim() > 1 for t in expected):
        ordered = [[t.sort(-2).values for t in side] for side in (expected, outputs)]
        error = min(error, relative_error(*ordered))
    return error


def onnx_check(model: Any, example: tuple[Any, ...]) -> dict[str, Any]:
    """Export with torch's TorchScript exporter, or its newer one where that refuses; compare.

    Both exporters run for each tool alike. The older comes first: it is many times faster.
    """
    problems = []
    for dynamo in (False, True):
        try:
            return {**onnx_errors(model, example, dynamo=dynamo), 'dynamo': dynamo}
        except Exception as error:
            problems.append(f'{type(error).__name__}: {str(error).strip()[:300]}')
    return {'onnx_failed': problems}


def onnx_errors(model: Any, example: tuple[Any, ...], *, dynamo: bool) -> dict[str, float]:
    """Largest relative difference between torch and ONNX Runtime.

    Where its graph optimiser changes the numbers (features of 1e-4 in yolov3-tiny come out
    1e-5 off, in the dense network too), the file is also run as it is written: ``onnx`` is then
    that difference and ``onnx_optimised`` the other.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / 'model.onnx')
        expected = write_onnx(model, example, path, dynamo=dynamo)
        error = error_up_to_order(expected, run_onnx(path, example))
        if error < ONNX_TOLERANCE:
            return {'onnx': error}
        plain = error_up_to_order(expected, run_onnx(path, example, optimise=False))
        return {'onnx': plain, 'onnx_optimised': error}


def write_onnx(model: Any, example: tuple[Any, ...], path: str, *, dynamo: bool) -> list[Any]:
    """Export a copy; its outputs before that."""
    import torch

    model = copy.deepcopy(model).eval()
    extra = {'external_data': False} if dynamo else {'opset_version': 17}
    with torch.no_grad():
        expected = [t.clone() for t in floats(model(*copy.deepcopy(example)))]
        arguments = copy.deepcopy(example)
        torch.onnx.export(model, arguments, path, dynamo=dynamo, verbose=False, **extra)
    return expected


def run_onnx(path: str, example: tuple[Any, ...], *, optimise: bool = True) -> list[Any]:
    """Floating-point outputs of ONNX Runtime on one thread."""
    import onnxruntime
    import torch
    from torch.utils import _pytree as pytree

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    leaves = [t for t in pytree.tree_leaves(example) if isinstance(t, torch.Tensor)]
    names = [i.name for i in session.get_inputs()]
    outputs = session.run(None, {n: t.numpy() for n, t in zip(names, leaves, strict=True)})
    return floats([torch.from_numpy(o) for o in outputs])
