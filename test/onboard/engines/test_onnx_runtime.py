# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import sys
import types

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_ladder
from onnx import TensorProto, helper

from uav_prune_perception.ladder import BoxesScores, InputSpec
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.interface import check_interface
from uav_prune_perception.onboard.engines.onnx_runtime import PREFERRED, OnnxRuntimeEngine


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('engines') / 'ladder'
    return tiny_ladder.make_detection_ladder(folder, 2, 64, 48, fragile=['100'])


@pytest.fixture
def engine(ladder):
    engine = OnnxRuntimeEngine(ladder.file(ladder.levels[0]), threads=1)
    engine.load()
    yield engine
    engine.close()


def test_it_tells_what_it_takes_and_gives(engine):
    assert engine.input_names == ('images',)
    assert engine.input_shapes == ((1, 3, 48, 64),)
    assert engine.input_dtypes == (np.dtype(np.float32),)
    assert engine.output_names == ('predictions',)
    assert engine.output_shapes == ((1, 8, 48),)


def test_it_infers_and_times_its_warm_up(engine):
    picture = tiny_ladder.scene(64, 48, [(8, 8, 40, 30, 'green')])
    tensor = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    scores = engine.infer(tensor)['predictions'][0, 4:]
    assert scores.max() == pytest.approx(0.95)
    assert scores.max(axis=1).argmax() == tiny_ladder.CLASSES.index('green')
    times = engine.warm_up(4)
    assert len(times) == 4
    assert all(time > 0 for time in times)


def test_an_output_that_is_not_finite_is_an_error(engine):
    with pytest.raises(EngineError, match='"predictions" is not finite'):
        engine.infer(np.ones((1, 3, 48, 64), np.float32))


def test_a_wrong_tensor_is_an_error_in_one_line(engine):
    with pytest.raises(EngineError, match='inference failed') as caught:
        engine.infer(np.ones((1, 3, 8, 8), np.float32))
    assert '\n' not in str(caught.value)


def test_after_close_it_says_so(engine):
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='not loaded'):
        engine.infer(np.ones((1, 3, 48, 64), np.float32))


@pytest.mark.parametrize('content', [b'', b'not a model', None])
def test_what_is_no_model_is_an_error_naming_the_file(tmp_path, content, capfd):
    path = tmp_path / 'model.onnx'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=r'model\.onnx: cannot be loaded') as caught:
        OnnxRuntimeEngine(path).load()
    assert '\n' not in str(caught.value)
    assert capfd.readouterr().err == ''


def test_a_provider_that_is_not_there_is_an_error(ladder):
    path = ladder.file(ladder.levels[0])
    engine = OnnxRuntimeEngine(path, providers=['CUDAExecutionProvider'])
    with pytest.raises(EngineError, match='CUDAExecutionProvider is not in this ONNX Runtime'):
        engine.load()


class Unbelievable:
    """An ONNX Runtime that opens sessions on a GPU whose kernels it does not have."""

    def __init__(self, real, fault):
        self.real, self.fault = real, fault

    def __getattr__(self, name):
        return getattr(self.real, name)

    def get_available_providers(self):
        return ['CUDAExecutionProvider', 'CPUExecutionProvider']

    def InferenceSession(self, path, sess_options, providers):
        session = self.real.InferenceSession(path, sess_options, ['CPUExecutionProvider'])
        on_gpu = providers[0].startswith('CUDA')
        if on_gpu and self.fault == 'taken away':
            return session
        double = types.SimpleNamespace(
            run=session.run, get_inputs=session.get_inputs, get_outputs=session.get_outputs,
            get_providers=lambda: providers,
        )
        if on_gpu:
            def run(*arguments):
                raise RuntimeError('no kernel image is available for execution on the device')
            double.run = run
        return double


@pytest.mark.parametrize(
    ('fault', 'words'), [('no kernel', 'no kernel image'), ('taken away', 'is not to be had')]
)
def test_a_provider_is_believed_after_a_real_inference_only(
    ladder, monkeypatch, caplog, fault, words
):
    monkeypatch.setitem(sys.modules, 'onnxruntime', Unbelievable(onnxruntime, fault))
    engine = OnnxRuntimeEngine(ladder.file(ladder.levels[0]), threads=1, providers=PREFERRED)
    with caplog.at_level('INFO'):
        engine.load()
    assert (engine.provider, engine.on_gpu) == ('CPUExecutionProvider', False)
    assert len(caplog.messages) == 1
    assert words in caplog.messages[0]
    assert caplog.messages[0].endswith('using CPUExecutionProvider')
    assert engine.infer(np.zeros((1, 3, 48, 64), np.float32))


def test_the_title_says_what_was_measured(engine):
    assert engine.title == f'ONNX Runtime {onnxruntime.__version__} CPU fp32, 1 thread'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'input': InputSpec(64, 64)}, r'"images" is \[1, 3, 48, 64\].*\[1, 3, 64, 64\]'),
        ({'input': InputSpec(64, 48, tensor='x')}, r'inputs \(images\), the ladder says \(x\)'),
        ({'decode': BoxesScores(tensor='y')}, r'outputs \(predictions\), the ladder says "y"'),
        ({'classes': ('a', 'b')}, r'is \[1, 8, 48\], 2 classes need \[1, 6, \?\]'),
    ],
)
def test_a_model_that_is_not_as_the_ladder_says_is_named(ladder, engine, changes, message):
    check_interface(engine, ladder)
    with pytest.raises(EngineError, match=message):
        check_interface(engine, dataclasses.replace(ladder, **changes))


def test_open_dimensions_agree_and_other_types_do_not(tmp_path, ladder):
    def model(kind: int, shape: list) -> OnnxRuntimeEngine:
        image = helper.make_tensor_value_info('images', kind, shape)
        result = helper.make_tensor_value_info('predictions', kind, [1, 8, 'n'])
        node = helper.make_node('Reshape', ['images', 'shape'], ['predictions'])
        constant = helper.make_tensor('shape', TensorProto.INT64, [3], [1, 8, -1])
        graph = helper.make_graph([node], 'g', [image], [result], [constant])
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8),
            tmp_path / 'model.onnx',
        )
        engine = OnnxRuntimeEngine(tmp_path / 'model.onnx', threads=1)
        engine.load()
        return engine

    check_interface(model(TensorProto.FLOAT, ['batch', 3, 48, 'width']), ladder)
    with pytest.raises(EngineError, match='float16, must be float32'):
        check_interface(model(TensorProto.FLOAT16, [1, 3, 48, 64]), ladder)
