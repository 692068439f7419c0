# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Fewer bits, nearly the same answer, and boxes never in fewer than 32."""

from __future__ import annotations

import types
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from uav_prune_perception.export.onnx_export import ExportError, export_onnx
from uav_prune_perception.export.precision import (
    calibration_pictures,
    decoding_nodes,
    simulated_predict,
    write_variant,
)
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine

SIZE = (64, 96)


def lively(name: str, **options: object) -> nn.Module:
    """Untrained, but with BatchNorms that do something, as after a training."""
    torch.manual_seed(0)
    model = build_network(name, classes=4, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def pictures(count: int, height: int, width: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.random((1, 3, height, width), np.float32) for _ in range(count)]


@pytest.fixture(scope='module')
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('precision') / 'model.onnx'
    return export_onnx(
        lively('resnet_cifar', depth=8), torch.zeros(1, 3, 32, 32), path,
        input_name='images', output_name='logits',
    )


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('precision') / 'model.onnx'
    return export_onnx(
        lively('aerial_detector', width=0.5), torch.zeros(1, 3, *SIZE), path,
        input_name='images', output_name='predictions',
    )


def answers(path: Path, inputs: list[np.ndarray]) -> np.ndarray:
    engine = OnnxRuntimeEngine(path, threads=1)
    engine.load()
    name = engine.output_names[0]
    return np.stack([engine.infer(picture)[name].copy() for picture in inputs])


@pytest.mark.parametrize(
    ('precision', 'tolerance'), [('fp16', 0.01), ('int8', 0.1), ('int8_symmetric', 0.1)]
)
def test_a_classifier_answers_nearly_the_same(
    classifier: Path, tmp_path: Path, precision: str, tolerance: float
) -> None:
    inputs = pictures(8, 32, 32)
    path = write_variant(classifier, tmp_path / 'other.onnx', precision, inputs)
    wanted = answers(classifier, inputs)
    if precision == 'int8_symmetric':
        predict = simulated_predict(path)
        got = np.stack([predict(picture) for picture in inputs])
    else:
        got = answers(path, inputs)
    assert got.dtype == np.float32
    difference = np.abs(got - wanted).max() / np.abs(wanted).max()
    assert 0 < difference < tolerance
    if precision != 'fp16':
        assert path.stat().st_size < 0.5 * classifier.stat().st_size


def test_int8_quantises_every_convolution_in_its_own_way(
    classifier: Path, tmp_path: Path
) -> None:
    for precision, kind in (('int8', TensorProto.UINT8), ('int8_symmetric', TensorProto.INT8)):
        path = write_variant(classifier, tmp_path / precision, precision, pictures(2, 32, 32))
        graph = onnx.load(path).graph
        constants = {item.name: item for item in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        convolutions = [node for node in graph.node if node.op_type == 'Conv']
        assert convolutions
        for node in convolutions:
            picture, weight = (makers[name] for name in node.input[:2])
            assert picture.op_type == weight.op_type == 'DequantizeLinear'
            assert constants[picture.input[2]].data_type == kind
            assert constants[weight.input[0]].data_type == TensorProto.INT8
            scales = numpy_helper.to_array(constants[weight.input[1]])
            assert scales.size == numpy_helper.to_array(constants[weight.input[0]]).shape[0]
            if precision == 'int8_symmetric':
                assert not numpy_helper.to_array(constants[picture.input[2]]).any()
                assert constants[node.input[2]].data_type == TensorProto.FLOAT
    assert not list(tmp_path.glob('.*'))


@pytest.mark.parametrize('precision', ['fp16', 'int8', 'int8_symmetric'])
def test_boxes_are_made_in_fp32(detector: Path, tmp_path: Path, precision: str) -> None:
    path = write_variant(detector, tmp_path / 'other.onnx', precision, pictures(2, *SIZE))
    plain = onnx.load(detector)
    decoding = set(decoding_nodes(plain))
    kinds = Counter(node.op_type for node in plain.graph.node if node.name in decoding)
    assert kinds['Exp'] == 2  # one for each head
    assert 'Conv' not in kinds
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    types_of = {item.name: item.type.tensor_type.elem_type for item in graph.value_info}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != 'Exp':
            continue
        assert types_of[node.output[0]] == TensorProto.FLOAT
    last = makers[graph.output[0].name]
    assert last.op_type not in {'DequantizeLinear', 'Cast'}
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    wanted, got = answers(detector, pictures(1, *SIZE)), answers(path, pictures(1, *SIZE))
    assert got.shape == wanted.shape


def test_tiles_of_training_are_laid_side_by_side() -> None:
    def batches(count: int, batch_size: int) -> object:
        for number in range(count):
            yield torch.full((batch_size, 3, 30, 40), float(number))

    spec = types.SimpleNamespace(height=50, width=100)
    task = types.SimpleNamespace(input=spec, calibration_batches=batches)
    found = list(calibration_pictures(task, 12))
    assert [picture.shape for picture in found] == [(1, 3, 50, 100)] * 2
    first = found[0][0, 0]
    assert (first[0, 0], first[0, 40], first[0, 99], first[30, 0]) == (0, 1, 2, 3)
    spec.height, spec.width = 30, 40
    assert len(list(calibration_pictures(task, 12))) == 12


def test_a_file_that_cannot_be_converted_is_one_line(tmp_path: Path, classifier: Path) -> None:
    with pytest.raises(ExportError, match='cannot be written as int8') as caught:
        write_variant(classifier, tmp_path / 'x.onnx', 'int8', [])
    assert '\n' not in str(caught.value)
    assert not list(tmp_path.iterdir())
