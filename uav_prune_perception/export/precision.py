# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An fp32 ONNX file in fewer bits: fp16 by casts, int8 by explicit Q/DQ.

By onnxruntime.quantization and onnxruntime.transformers.float16: they are MIT, come with the
engine that we need anyway and are released with it. NVIDIA's ModelOpt writes the same Q/DQ for
TensorRT, but nothing for processors, and would be a second large dependency.

Two kinds of int8, for no file suits both engines. ``int8`` has unsigned activations with a zero
point: on x86 ONNX Runtime runs those on its integer kernels, and signed ones not (ResNet-18: 0.54
of fp32's time against 1.04, one run, AVX2). ``int8_symmetric`` has signed ones with no zero point,
Q/DQ at the inputs of convolutions only and float biases: what TensorRT reads (its parser refuses
int32 biases and unsigned activations).

What turns a network's answer into boxes stays in fp32 always: a box edge at 600 pixels has steps
of half a pixel in fp16, and of five in int8.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.training.task import LearningTask, Predict

from .onnx_export import ExportError

COMPUTE = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
QUANTISED = (*COMPUTE, 'Add', 'Relu', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'Concat')
CALIBRATION_PICTURES = 64


def write_variant(
    source: Path, target: Path, precision: str, pictures: Iterable[NDArray[np.float32]]
) -> Path:
    """Write ``source`` in another precision; the file appears whole or not at all.

    Args:
        source: fp32 ONNX file with one input of fixed shape.
        target: the file to write.
        precision: 'fp16', 'int8' or 'int8_symmetric'.
        pictures: to calibrate int8 by: float32 [1, C, H, W] each, of the training split.

    Raises:
        ExportError: the network cannot be converted.
    """
    model = _with_names(onnx.load(source))
    with replacing(target) as temporary, _quiet():
        try:
            if precision == 'fp16':
                onnx.save(_fp16(model), temporary)
            else:
                _int8(model, temporary, pictures, symmetric=precision == 'int8_symmetric')
            onnx.checker.check_model(onnx.load(temporary), full_check=True)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # the converters raise many kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ExportError(f'{source}: cannot be written as {precision}: {reason}') from error
    return target


def decoding_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes behind the last convolution or product on every path."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    computes: dict[str, bool] = {}
    for node in reversed(model.graph.node):  # ONNX graphs are sorted
        computes[node.name] = node.op_type in COMPUTE or any(
            computes[user.name] for name in node.output for user in users.get(name, ())
        )
    return [node.name for node in model.graph.node if not computes[node.name]]


def calibration_pictures(
    task: LearningTask, count: int = CALIBRATION_PICTURES
) -> Iterator[NDArray[np.float32]]:
    """Pictures of the training split at the size that flies: float32 [1, C, H, W] each.

    A detector may have learnt on tiles of the same scale: they are laid side by side.
    """
    height, width = task.input.height, task.input.width
    tiles: list[NDArray[np.float32]] = []
    for batch in task.calibration_batches(count, batch_size=1):
        tiles.append(batch.contiguous().numpy())
        down, across = -(-height // tiles[0].shape[2]), -(-width // tiles[0].shape[3])
        if len(tiles) < down * across:
            continue
        rows = [
            np.concatenate(tiles[row * across:(row + 1) * across], axis=3) for row in range(down)
        ]
        yield np.ascontiguousarray(np.concatenate(rows, axis=2)[:, :, :height, :width])
        tiles = []


def simulated_predict(path: Path) -> Predict:
    """A Q/DQ file computed in floats, as `LearningTask.evaluate` takes it.

    For ``int8_symmetric``, which no processor flies: without VNNI its integer kernels saturate.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=['CPUExecutionProvider']
    )
    name = session.get_inputs()[0].name

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(None, {name: images})[0]

    return predict


def _fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    typed = convert_float_to_float16(
        model, keep_io_types=True, node_block_list=decoding_nodes(model)
    )
    _without_detours(typed.graph)
    whole = OnnxModel(typed)
    whole.topological_sort()  # casts were appended at the end
    return whole.model


def _without_detours(graph: onnx.GraphProto) -> None:
    """Undo the casts to fp16 and back that the converter puts between neighbours in fp32.

    They would round boxes at every step. Casts written twice under one name go, too.
    """
    makers = {name: node for node in graph.node for name in node.output}
    nodes = list({id(node): node for node in makers.values()}.values())
    short: dict[str, str] = {}
    for node in nodes:
        before = makers.get(node.input[0]) if node.op_type == 'Cast' else None
        if (before is not None and before.op_type == 'Cast'
                and _target(node) == onnx.TensorProto.FLOAT
                and _target(before) == onnx.TensorProto.FLOAT16):
            short[node.output[0]] = before.input[0]
    outputs = {item.name for item in graph.output}
    # An output keeps its name: what it stood for takes it over.
    renamed = {source: name for name, source in short.items() if name in outputs}

    def name_of(name: str) -> str:
        while name in short:
            name = short[name]
        return renamed.get(name, name)

    kept = []
    for node in nodes:
        if node.output[0] in short:
            continue
        node.input[:] = [name_of(name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        kept.append(node)
    used = outputs | {name for node in kept for name in node.input}
    del graph.node[:]
    graph.node.extend(
        node for node in kept if node.op_type != 'Cast' or node.output[0] in used
    )


def _target(cast: onnx.NodeProto) -> int:
    return next(int(item.i) for item in cast.attribute if item.name == 'to')


def _int8(
    model: onnx.ModelProto,
    target: Path,
    pictures: Iterable[NDArray[np.float32]],
    *,
    symmetric: bool,
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    options: dict[str, Any] = {'WeightSymmetric': True, 'ActivationSymmetric': symmetric}
    if symmetric:
        options |= {
            'QuantizeBias': False, 'OpTypesToExcludeOutputQuantization': list(COMPUTE),
        }
    with tempfile.TemporaryDirectory() as folder:  # calibration writes beside its model
        source = Path(folder) / 'model.onnx'
        onnx.save(model, source)
        quantize_static(
            str(source), str(target), _Reader(model.graph.input[0].name, pictures),
            quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8, nodes_to_exclude=decoding_nodes(model),
            op_types_to_quantize=list(COMPUTE if symmetric else QUANTISED),
            extra_options=options,
        )


class _Reader:
    """Pictures as onnxruntime.quantization asks for them (its CalibrationDataReader)."""

    def __init__(self, name: str, pictures: Iterable[NDArray[np.float32]]) -> None:
        self._name, self._pictures = name, iter(pictures)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {self._name: picture}


def _with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every node with a name of its own: nodes are left out by name."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f'{node.op_type}_{number}'
        taken.add(node.name)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the converters' log lines: none is for the user to act on."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
