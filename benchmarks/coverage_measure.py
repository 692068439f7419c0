# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What `coverage.py` measures on any tool's result: MACs, and the same numbers in ONNX Runtime."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any


def macs_of(model: Any, example: tuple[Any, ...]) -> float:
    """Measured multiply-accumulates."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

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
    """Export with torch's exporter, or its older one where that refuses; run; compare."""
    problems = []
    for dynamo in (True, False):
        try:
            return {'onnx': onnx_error(model, example, dynamo=dynamo), 'dynamo': dynamo}
        except Exception as error:
            problems.append(f'{type(error).__name__}: {str(error).strip()[:300]}')
    return {'onnx_failed': problems}


def onnx_error(model: Any, example: tuple[Any, ...], *, dynamo: bool) -> float:
    """Largest relative difference between torch and ONNX Runtime."""
    import onnxruntime
    import torch
    from torch.utils import _pytree as pytree

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / 'model.onnx')
        model = copy.deepcopy(model).eval()
        expected = floats(model(*copy.deepcopy(example)))
        extra = {'external_data': False} if dynamo else {'opset_version': 17}
        torch.onnx.export(
            model, copy.deepcopy(example), path, dynamo=dynamo, verbose=False, **extra
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        leaves = [t for t in pytree.tree_leaves(example) if isinstance(t, torch.Tensor)]
        names = [i.name for i in session.get_inputs()]
        outputs = session.run(None, {n: t.numpy() for n, t in zip(names, leaves, strict=True)})
        got = floats([torch.from_numpy(o) for o in outputs])
        return error_up_to_order(expected, got)
