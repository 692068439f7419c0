# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Doubles that torch's older exporter makes of sizes become floats.

A size divided (``torch.arange(h) / h``, reference points of transformer detectors) is float32 in
torch and float64 in what the exporter writes. Engines have no double kernels for much of what
follows (ONNX Runtime none for GridSample, TensorRT none at all).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, numpy_helper


def in_single_precision(proto: ModelProto) -> ModelProto:
    """The same graph, in place, with every double a float."""
    _graph(proto.graph)
    return proto


def _graph(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        _tensor(tensor)
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            _attribute(node.op_type, attribute)


def _attribute(kind: str, attribute: AttributeProto) -> None:
    if attribute.type == onnx.AttributeProto.TENSOR:
        _tensor(attribute.t)
    elif attribute.type == onnx.AttributeProto.GRAPH:
        _graph(attribute.g)
    elif attribute.i == TensorProto.DOUBLE and (
        attribute.name == 'dtype' or (kind == 'Cast' and attribute.name == 'to')
    ):
        attribute.i = TensorProto.FLOAT


def _tensor(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.DOUBLE:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
