# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT code against doubles of six versions, made from NVIDIA's call table.

This is no proof that it runs on a Jetson: ``test_tensorrt_hardware.py`` is, where there is one.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from unittest.mock import ANY

import numpy as np
import pytest
import variant_ladder
from cuda_double import CudaDouble
from tensorrt_double import METHODS, VERSIONS, tensorrt_double

from uav_prune_perception.onboard.engines import (
    background_build,
    tensorrt_build,
    tensorrt_cache,
    tensorrt_run,
)
from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.cuda_runtime import CudaRuntime
from uav_prune_perception.onboard.engines.interface import check_interface
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.engines.selection import choose_engines
from uav_prune_perception.onboard.engines.tensorrt_build import Machine, build_level
from uav_prune_perception.onboard.engines.tensorrt_cache import PlanCache, default_folder
from uav_prune_perception.onboard.engines.tensorrt_run import NoPlan, tensorrt_factory

SYMMETRIC = 'int8_symmetric'
PRECISIONS = ('fp32', 'fp16', SYMMETRIC)
PICTURE = np.random.default_rng(1).random(variant_ladder.SIZE, np.float32)


@pytest.fixture(scope='module')
def ladder(tmp_path_factory):
    return variant_ladder.make(tmp_path_factory.mktemp('tensorrt') / 'ladder')


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / 'cache')


def a_machine(version: str, cuda: CudaDouble | None = None, full: str = '') -> Machine:
    runtime = CudaRuntime(cuda or CudaDouble())
    return Machine(tensorrt_double(version, full), runtime, runtime.gpu())


def built(here, ladder, cache, precision='fp32', **options):
    return [
        build_level(here, ladder, level, precision, cache, **options) for level in ladder.levels
    ]


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('version', VERSIONS)
def test_what_is_built_flies_in_every_version(version, precision, ladder, cache):
    cuda = CudaDouble()
    here = a_machine(version, cuda)
    told: list[str] = []
    built(here, ladder, cache, precision, tell=told.append)
    assert told
    make = tensorrt_factory(ladder, precision, here=here, cache=cache)
    engines = [make(ladder, level) for level in ladder.levels]
    for engine, level in zip(engines, ladder.levels, strict=True):
        engine.load()
        check_interface(engine, ladder)
        assert len(engine.warm_up(2)) == 2
        assert precision in engine.title
        reference = OnnxRuntimeEngine(ladder.file(level, level.precision(precision).file))
        reference.load()
        wanted = reference.infer(PICTURE)['logits']
        np.testing.assert_allclose(engine.infer(PICTURE)['logits'], wanted, rtol=1e-5)
    for engine in engines:
        engine.close()
        engine.close()
    assert cuda.alive == {}


@pytest.mark.parametrize(
    ('version', 'precision', 'network', 'builder', 'file'),
    [
        ('8.5', 'fp32', ['EXPLICIT_BATCH'], [], 'model.onnx'),
        ('8.6', 'fp16', ['EXPLICIT_BATCH'], ['FP16'], 'model.onnx'),
        ('8.6', SYMMETRIC, ['EXPLICIT_BATCH'], ['FP16', 'INT8'], f'model.{SYMMETRIC}.onnx'),
        ('10.3', 'fp16', ['EXPLICIT_BATCH', 'STRONGLY_TYPED'], [], 'model.fp16.onnx'),
        ('10.13', SYMMETRIC, ['EXPLICIT_BATCH', 'STRONGLY_TYPED'], [], f'model.{SYMMETRIC}.onnx'),
        ('11.1', 'fp16', ['STRONGLY_TYPED'], [], 'model.fp16.onnx'),
    ],
)
def test_precision_comes_from_the_file_where_it_can(
    version, precision, network, builder, file, ladder, cache
):
    here = a_machine(version)
    (path, _), _ = built(here, ladder, cache, precision)
    plan = json.loads(path.read_bytes())
    assert plan['network_flags'] == network
    assert plan['flags'] == builder
    assert plan['onnx'].endswith(f'100/{file}')


def test_the_double_refuses_what_a_version_does_not_have():
    logger = tensorrt_double('11.1').Logger()
    new = tensorrt_double('11.1')
    config = new.Builder(logger).create_builder_config()
    with pytest.raises(AttributeError, match='max_workspace_size'):
        config.max_workspace_size = 1 << 30
    with pytest.raises(AttributeError):
        config.set_flag(new.BuilderFlag.FP16)
    with pytest.raises(AttributeError, match='build_engine'):
        new.Builder(logger).build_engine(None, config)
    with pytest.raises(TypeError, match='execute_async_v3'):
        new.IExecutionContext.execute_async_v3(new.Builder(logger))
    with pytest.raises(KeyError):
        new.Builder(logger).create_network(1 << 5)
    with pytest.raises(AssertionError, match='no member'):
        config.set_flag(3)
    old = tensorrt_double('8.5')
    assert not hasattr(old, 'IProgressMonitor')
    assert not hasattr(old, 'ExecutionContextAllocationStrategy')
    # The number of a flag is another flag's in another version.
    ten = tensorrt_double('10.3').NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert int(ten) == int(new.NetworkDefinitionCreationFlag.PREFER_JIT_PYTHON_PLUGINS)


def test_a_plan_is_built_once_and_remembers_what_it_is(ladder, cache):
    here = a_machine('10.3')
    (path, fresh), _ = built(here, ladder, cache)
    assert fresh
    facts = json.loads(path.with_suffix('.json').read_text())
    assert facts['key']['tensorrt'] == '10.3.0'
    assert facts['key']['gpu']['name'] == 'Test Orin'
    assert facts['key']['gpu']['compute_capability'] == '8.7'
    assert (facts['ladder'], facts['level'], facts['onnx']) == ('colours', '100', 'model.onnx')
    assert facts['build_s'] >= 0
    assert built(here, ladder, cache)[0] == (path, False)
    assert built(here, ladder, cache, again=True)[0] == (path, True)
    timing = list(cache.folder.glob('timing-*.cache'))
    assert len(timing) == 1
    assert timing[0].read_bytes() == b'timed;' * 4  # each build began with what the last had left


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'full': '10.3.1'}, r'was built with TensorRT 10\.3\.0 \(here: 10\.3\.1\)'),
        ({'cuda': CudaDouble(name=b'Other')}, r'built for name Test Orin \(here: Other\)'),
        ({'cuda': CudaDouble(driver=12080)}, r'cuda driver 12\.6 \(here: 12\.8\)'),
    ],
)
def test_a_plan_of_another_machine_is_refused_with_the_command(ladder, cache, change, words):
    built(a_machine('10.3'), ladder, cache)
    with pytest.raises(EngineError, match=words) as caught:
        tensorrt_factory(ladder, 'fp32', here=a_machine('10.3', **change), cache=cache)
    assert f'run "uav-prune build {ladder.folder} --precision fp32"' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_no_plan_half_a_plan_and_no_variant_are_refused(ladder, cache, tmp_path):
    here = a_machine('11.1')
    with pytest.raises(EngineError, match='level 100: no int8_symmetric plan has been built; run'):
        tensorrt_factory(ladder, 'int8_symmetric', here=here, cache=cache)
    (path, _), _ = built(here, ladder, cache)
    path.with_suffix('.json').unlink()
    with pytest.raises(EngineError, match='no fp32 plan'):
        tensorrt_factory(ladder, 'fp32', here=here, cache=cache)
    with pytest.raises(EngineError, match=r'does not read int8 .*use int8_symmetric'):
        tensorrt_factory(ladder, 'int8', here=here, cache=cache)
    plain = variant_ladder.make(tmp_path / 'plain', variants=())
    with pytest.raises(EngineError, match='has no fp16 variant, only fp32'):
        tensorrt_factory(plain, 'fp16', here=here, cache=cache)


def test_a_damaged_or_unreadable_plan_is_refused_at_load(ladder, cache):
    here = a_machine('10.3')
    (path, _), _ = built(here, ladder, cache)
    make = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)
    good = path.read_bytes()
    path.write_bytes(good + b' ')
    engine = make(ladder, ladder.levels[0])
    with pytest.raises(EngineError, match=r'is damaged; run "uav-prune build'):
        engine.load()
    path.write_bytes(good)
    key = here.key(ladder, ladder.levels[0], 'fp32')
    cache.store(key, good.replace(b'10.3.0', b'10.0.9'), {})
    with pytest.raises(EngineError, match=r'does not take the plan .*--again'):
        engine.load()


def test_levels_share_one_scratch_buffer(ladder, cache):
    cuda = CudaDouble()
    here = a_machine('10.3', cuda)
    built(here, ladder, cache)
    make = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)
    first, second = (make(ladder, level) for level in ladder.levels)
    first.load()
    one = len(cuda.alive)
    second.load()
    assert len(cuda.alive) == 2 * one - 1
    addresses = {args for name, args in here.trt.calls if name.endswith('.set_device_memory')}
    assert len(addresses) == 1
    first.close()
    second.infer(PICTURE)
    second.close()
    assert cuda.alive == {}


@pytest.mark.parametrize('call', ['cudaMalloc', 'cudaHostAlloc', 'cudaStreamCreateWithFlags'])
def test_a_full_memory_is_one_line_and_nothing_leaks(ladder, cache, call):
    cuda = CudaDouble()
    here = a_machine('10.3', cuda)
    built(here, ladder, cache)
    engine = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)(ladder, ladder.levels[0])
    cuda.failing = {call}
    with pytest.raises(EngineError, match=f'CUDA: {call}: out of memory'):
        engine.load()
    assert cuda.alive == {}
    cuda.failing = set()
    engine.load()
    engine.close()


def test_a_cuda_graph_is_recorded_once_and_given_up_where_it_fails(ladder, cache, caplog):
    cuda = CudaDouble()
    here = a_machine('10.3', cuda)
    built(here, ladder, cache)
    make = tensorrt_factory(ladder, 'fp32', here=here, cache=cache, cuda_graph=True)
    engine = make(ladder, ladder.levels[0])
    engine.load()
    first = engine.infer(PICTURE)['logits']
    for _ in range(3):
        np.testing.assert_array_equal(engine.infer(PICTURE)['logits'], first)
    assert cuda.launched == 3
    engine.close()
    cuda.failing = {'cudaStreamBeginCapture'}
    engine.load()
    for _ in range(3):
        np.testing.assert_array_equal(engine.infer(PICTURE)['logits'], first)
    assert cuda.launched == 3
    assert caplog.text.count('no CUDA graph') == 1
    engine.close()
    assert cuda.alive == {}


def test_a_wrong_picture_and_use_after_close_are_errors(ladder, cache):
    here = a_machine('8.5')
    built(here, ladder, cache)
    engine = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)(ladder, ladder.levels[0])
    engine.load()
    with pytest.raises(EngineError, match=r'\(1, 3, 8, 8\), the plan takes'):
        engine.infer(np.zeros((1, 3, 8, 8), np.float32))
    engine.close()
    with pytest.raises(EngineError, match='not loaded'):
        engine.infer(PICTURE)


def test_a_file_that_tensorrt_refuses_is_named(ladder, cache, monkeypatch):
    here = a_machine('10.3')
    monkeypatch.setattr(
        here.trt.OnnxParser, 'parse_from_file', lambda self, model: False, raising=True
    )
    with pytest.raises(EngineError, match=r'model\.onnx: TensorRT 10\.3\.0 does not take it: err'):
        built(here, ladder, cache)
    assert not list(cache.folder.glob('*.plan'))


def test_without_tensorrt_onnx_runtime_flies_and_one_line_says_why(ladder, monkeypatch, caplog):
    def missing() -> Machine:
        raise EngineError('TensorRT cannot be imported: No module named tensorrt')

    monkeypatch.setattr('uav_prune_perception.onboard.engines.tensorrt_run.machine', missing)
    with caplog.at_level('INFO'):
        engine = choose_engines(ladder, engine='auto')(ladder, ladder.levels[0])
    assert engine.name == 'onnxruntime'
    assert caplog.text.count('TensorRT is not used: TensorRT cannot be imported') == 1
    with pytest.raises(EngineError, match='cannot be imported'):
        choose_engines(ladder, engine='tensorrt')


def test_with_plans_for_every_level_tensorrt_flies(ladder, cache, monkeypatch):
    here = a_machine('10.3')
    monkeypatch.setattr(
        'uav_prune_perception.onboard.engines.tensorrt_run.machine', lambda: here
    )
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache.folder))
    ours = PlanCache()
    assert ours.folder == default_folder() == cache.folder / 'uav_prune_perception/tensorrt'
    build_level(here, ladder, ladder.levels[0], 'fp32', ours)
    assert choose_engines(ladder)(ladder, ladder.levels[0]).name == 'onnxruntime'
    build_level(here, ladder, ladder.levels[1], 'fp32', ours)
    here.trt.calls.clear()
    engine = choose_engines(ladder)(ladder, ladder.levels[0])
    engine.load()
    assert engine.name == 'tensorrt'
    assert not any('build' in name.lower() for name, _ in here.trt.calls)
    engine.close()


@pytest.mark.parametrize(('devices', 'words'), [(0, 'no device')])
def test_a_machine_without_a_gpu(devices, words):
    with pytest.raises(EngineError, match=words):
        CudaRuntime(CudaDouble(devices=devices))


def test_two_builders_at_once_make_one_plan(ladder, cache):
    here = a_machine('10.3')
    key = here.key(ladder, ladder.levels[0], 'fp32')
    told: list[str] = []
    results: list = []

    def second():
        results.append(
            build_level(here, ladder, ladder.levels[0], 'fp32', cache, tell=told.append))

    with cache.building(key):  # the first is at work
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        assert 'somebody else is building it' in told[0]
        cache.store(key, b'the plan of the first', {'build_s': 1.0})
    thread.join(20)
    assert results == [(cache.plan(key), False)]
    assert cache.read(key, '') == b'the plan of the first'


def test_a_cache_that_cannot_be_written_is_found_before_anything_is_built(ladder, tmp_path):
    (tmp_path / 'file').write_text('')
    cache = PlanCache(tmp_path / 'file' / 'cache')
    told: list[str] = []
    with pytest.raises(EngineError, match=r'cannot be written .*set XDG_CACHE_HOME'):
        built(a_machine('10.3'), ladder, cache, tell=told.append)
    assert not told


def test_a_plan_that_is_just_being_replaced_is_read_once_more(ladder, cache, monkeypatch):
    here = a_machine('10.3')
    (path, _), _ = built(here, ladder, cache)
    key, good = here.key(ladder, ladder.levels[0], 'fp32'), path.read_bytes()
    path.write_bytes(b'new')  # its JSON comes a moment later
    monkeypatch.setattr(tensorrt_cache.time, 'sleep', lambda _: path.write_bytes(good))
    assert cache.read(key, '') == good
    path.write_bytes(good[:-7])
    monkeypatch.setattr(tensorrt_cache.time, 'sleep', lambda _: None)
    with pytest.raises(EngineError, match='is damaged; run "mend"'):
        cache.read(key, 'mend')


def of_another_machine(document):
    return {**document, 'key': {**document['key'], 'tensorrt': '8.6.1'}}


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda text: text[:len(text) // 2], 'no fp32 plan has been built'),
        (lambda text: '', 'no fp32 plan has been built'),
        (lambda text: '[' * 100_000, 'no fp32 plan has been built'),
        (lambda text: '{"key": [1], "bytes": 3}', 'no fp32 plan has been built'),
        (lambda text: json.dumps(of_another_machine(json.loads(text))),
         r'was built with TensorRT 8\.6\.1 \(here: 10\.3\.0\)'),
        (lambda text: text.replace('"8.7"', '"7.2"'), 'compute capability 7.2 .here: 8.7'),
        (lambda text: json.dumps({**json.loads(text), 'sha256': None}), 'is damaged'),
    ],
)
def test_a_spoilt_json_is_one_line_and_the_command_mends_it(ladder, cache, spoil, words):
    here = a_machine('10.3')
    (path, _), _ = built(here, ladder, cache)
    facts = path.with_suffix('.json')
    facts.write_text(spoil(facts.read_text()))
    with pytest.raises(NoPlan, match=words) as caught:
        tensorrt_factory(ladder, 'fp32', here=here, cache=cache)
    assert '\n' not in str(caught.value)
    assert built(here, ladder, cache) == [(path, True), (ANY, False)]  # without --again
    tensorrt_factory(ladder, 'fp32', here=here, cache=cache)


def test_with_a_damaged_plan_onnx_runtime_flies_until_it_is_built_again(
    ladder, cache, monkeypatch, caplog
):
    here = a_machine('10.3')
    monkeypatch.setattr(tensorrt_run, 'machine', lambda: here)
    monkeypatch.setattr(tensorrt_run, 'PlanCache', lambda: cache)
    (path, _), _ = built(here, ladder, cache)
    path.write_bytes(path.read_bytes()[:-3])
    caplog.set_level('INFO')
    engine = choose_engines(ladder)(ladder, ladder.levels[0])
    assert isinstance(engine, OnnxRuntimeEngine)
    assert 'the fp32 plan that there is is damaged; run "uav-prune build' in caplog.text
    assert built(here, ladder, cache)[0] == (path, True)


def test_a_full_disk_leaves_no_half_plan(ladder, cache, monkeypatch):
    here = a_machine('10.3')
    cache.folder.mkdir(parents=True)

    def full(*_args, **_options):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(tensorrt_cache.Path, 'write_bytes', full)
        with pytest.raises(OSError, match='No space left'):
            built(here, ladder, cache)
    assert not [path for path in cache.folder.iterdir() if path.suffix != '.lock']
    assert built(here, ladder, cache)[0] == (ANY, True)


def test_a_folder_that_knows_no_locks_is_built_in_all_the_same(ladder, cache, monkeypatch):
    def no_locks(*_args):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(tensorrt_cache.fcntl, 'flock', no_locks)
    assert all(fresh for _, fresh in built(a_machine('10.3'), ladder, cache))


def test_a_timing_cache_of_another_device_is_dropped_and_none_is_no_fault(
    ladder, cache, monkeypatch
):
    here = a_machine('11.1')
    tries = []

    def set_timing_cache(module, facts, cache, ignore_mismatch):
        tries.append(cache._facts.content)
        facts.timing_cache = cache if len(tries) > 1 else None
        return len(tries) > 1

    level = ladder.levels[0]
    here_timing = cache.timing_cache(here.trt.__version__, here.gpu)
    here_timing.parent.mkdir(parents=True)
    here_timing.write_bytes(b'of another device')
    monkeypatch.setitem(METHODS, ('IBuilderConfig', 'set_timing_cache'), set_timing_cache)
    assert build_level(here, ladder, level, 'fp32', cache)[1]
    assert tries == [b'of another device', b'']
    monkeypatch.setitem(METHODS, ('IBuilderConfig', 'get_timing_cache'), lambda *_: None)
    assert build_level(here, ladder, level, 'fp32', cache, again=True)[1]


def test_a_timing_cache_that_is_damaged_or_cannot_be_kept_costs_no_plan(
    ladder, cache, monkeypatch
):
    here = a_machine('10.3')

    def full(path, content):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(tensorrt_build, '_keep', full)
    told: list[str] = []
    rows = built(here, ladder, cache, tell=told.append)
    assert all(path.is_file() and fresh for path, fresh in rows)
    assert any('not kept: No space left' in line for line in told)


def test_missing_plans_are_built_in_the_background_where_that_is_allowed(
    ladder, cache, monkeypatch, caplog
):
    here = a_machine('10.3')
    monkeypatch.setattr(tensorrt_run, 'machine', lambda: here)
    monkeypatch.setattr(tensorrt_run, 'PlanCache', lambda: cache)
    monkeypatch.setattr(background_build, 'command', lambda folder, precision: [
        sys.executable, '-c',
        f'import time; print("building", {precision!r}, flush=True); time.sleep(0.3)',
    ])
    caplog.set_level('INFO')
    choose_engines(ladder, precision='fp16')
    assert 'background' not in caplog.text  # off by default
    for _ in range(2):
        started = time.monotonic()
        engine = choose_engines(ladder, precision='fp16', allow_build=True)(
            ladder, ladder.levels[0])
        assert time.monotonic() - started < 5  # nothing waits
        assert isinstance(engine, OnnxRuntimeEngine)
    with pytest.raises(EngineError, match='no fp16 plan has been built'):
        choose_engines(ladder, engine='tensorrt', precision='fp16', allow_build=True)
    limit = time.monotonic() + 20
    while 'configure again to fly TensorRT' not in caplog.text and time.monotonic() < limit:
        time.sleep(0.02)
    assert caplog.text.count('building plans in the background') == 1
    assert 'plans: building fp16' in caplog.text
    assert 'configure again to fly TensorRT' in caplog.text
