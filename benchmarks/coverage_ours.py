# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One network pruned by `uav_prune_perception.channels.prune`: a row of `coverage.py`."""

from __future__ import annotations

import copy
import resource
import tempfile
import time
from typing import Any

from coverage_measure import error_up_to_order, floats, macs_of, onnx_check
from zoo import Network


def peak_megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(network: Network, *, onnx: bool) -> dict[str, Any]:
    """Prune half of every group; measure, save, reload, export."""
    import torch

    from uav_prune_perception.channels import load_pruned, prune
    from uav_prune_perception.channels.exported import cast
    from uav_prune_perception.channels.verify import relative_error

    model, x = network.factory(), network.example
    before = peak_megabytes()
    cpu, wall = time.process_time(), time.perf_counter()
    result = prune(model, x, ratio=0.5)
    row: dict[str, Any] = {
        'seconds': time.process_time() - cpu,
        'wall': time.perf_counter() - wall,
        'megabytes': peak_megabytes(),
        'megabytes_before': before,
        'error': result.report.max_error,
        'dtype': str(result.graph.dtype).removeprefix('torch.'),
        'left': macs_of(result.model, x) / macs_of(model, x),
        'claimed': result.report.compact.macs / result.report.dense.macs,
        'channels': '{}/{}'.format(*result.report.channels),
        'frozen': [
            str(f) for f in result.report.frozen if 'output of the network' not in f.reason
        ],
        'notes': [str(note) for note in getattr(result.report, 'notes', ())],
    }
    try:
        reference = result.graph.reference(model, result.plan, torch.float32)
    except RuntimeError:  # the network names float64 somewhere: its graph runs in that alone
        reference = result.graph.reference(model, result.plan)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        part = result.graph.part(result.model)
        # What was traced takes its own inputs where the whole cannot be (detectors with NMS).
        inputs = cast(result.graph.exported.example, torch.float32)
        outputs = floats(part(*inputs))
        row['error32'] = error_up_to_order([r.float() for r in reference], outputs)
        result.plan.save(folder, result.model)
        again = load_pruned(network.factory, folder).eval()
        whole = floats(result.model(*copy.deepcopy(x)))
        reloaded = floats(again(*copy.deepcopy(x)))
        row['reload'] = relative_error(whole, reloaded) == 0
    if onnx:
        row['traced'] = 'whole' if result.graph.forward is None else 'parts'
        model, inputs = result.model, copy.deepcopy(x)
        if result.graph.forward is not None:
            model, inputs = as_module(result), cast(result.graph.exported.example, torch.float32)
        row.update(onnx_check(model, inputs))
    return row


def as_module(result: Any) -> Any:
    """The part of a pruned network that was traced, as a module that can be exported."""
    from types import MethodType

    model = copy.deepcopy(result.model)
    model.forward = MethodType(result.graph.forward, model)
    return model
