# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How the time of a convolution grows with its output channels, on this machine's engine.

Engines compute several blocks of channels at once: on a processor with AVX2, ONNX Runtime's
kernels take up to four blocks of eight, and one block alone costs more than half of what four
together cost. So a convolution with 40 channels takes half as long again as one with 32, and one
with 8 hardly less than one with 16. MACs tell nothing of this; half a second of measuring does.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .layer_times import layer_times

BLOCK = 8
WIDEST = 128  # channels; beyond, the curve goes on as it began
INPUTS, SIDE, RUNS = 64, 40, 15


class WidthCurve:
    """Time of a convolution by output channels, over that of `WIDEST` channels.

    Args:
        blocks: time of 1, 2, ... blocks of `BLOCK` channels, ascending, [WIDEST / BLOCK].
    """

    def __init__(self, blocks: NDArray[np.float64]) -> None:
        # A wider one is never cheaper: what says so is a neighbour on the machine.
        ascending = np.maximum.accumulate(np.asarray(blocks, np.float64))
        self._blocks = np.concatenate([[0.0], ascending / ascending[-1]])

    def __call__(self, channels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of any number of channels; what lies within a block costs as much as the block."""
        whole, within = np.divmod(np.ceil(np.asarray(channels) / BLOCK - 1e-9), WIDEST // BLOCK)
        result: NDArray[np.float64] = whole + self._blocks[within.astype(np.int64)]
        return result


@functools.cache
def width_curve(kernel: int, threads: int = 1) -> WidthCurve:
    """Measured once for each process.

    Args:
        kernel: side of the kernel; 1 stands for itself, 3 for all that are larger.
        threads: of the engine.

    Raises:
        ExportError: ONNX Runtime refuses a plain convolution.
    """
    widths = range(BLOCK, WIDEST + 1, BLOCK)
    with tempfile.TemporaryDirectory(prefix='uav_prune_') as folder:
        path = Path(folder) / 'widths.onnx'
        onnx.save(_side_by_side(widths, kernel), str(path))
        picture = np.random.default_rng(0).random((1, INPUTS, SIDE, SIDE), dtype=np.float32)
        measured, _ = layer_times(path, picture, runs=RUNS, threads=threads)
    took = {layer.weight[0]: layer.ms for layer in measured}
    return WidthCurve(np.array([took[width] for width in widths]))


def _side_by_side(widths: range, kernel: int) -> onnx.ModelProto:
    """One convolution of each width, all of the same input."""
    random = np.random.default_rng(0)
    nodes, weights, outputs = [], [], []
    for width in widths:
        shape = (width, INPUTS, kernel, kernel)
        name = f'w{width}'
        weights.append(numpy_helper.from_array(random.random(shape, dtype=np.float32), name))
        nodes.append(helper.make_node(
            'Conv', ['x', name], [f'y{width}'], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4
        ))
        outputs.append(helper.make_tensor_value_info(
            f'y{width}', TensorProto.FLOAT, [1, width, SIDE, SIDE]
        ))
    given = helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, INPUTS, SIDE, SIDE])
    graph = helper.make_graph(nodes, 'widths', [given], outputs, weights)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8
    )
