# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The real TensorRT on a real GPU. One command on a Jetson:

    python3 -m pytest -m tensorrt test/onboard/engines/test_tensorrt_hardware.py
"""

from __future__ import annotations

import numpy as np
import pytest
import tiny_ladder
import variant_ladder

from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.onnx_runtime import OnnxRuntimeEngine
from uav_prune_perception.onboard.engines.tensorrt_build import build_level, machine
from uav_prune_perception.onboard.engines.tensorrt_cache import PlanCache
from uav_prune_perception.onboard.engines.tensorrt_run import tensorrt_factory
from uav_prune_perception.onboard.profiling import profile_engines

pytestmark = pytest.mark.tensorrt
TOLERANCE = {'fp32': 1e-3, 'fp16': 2e-2, 'int8_symmetric': 1e-1}


@pytest.fixture(scope='module')
def here():
    try:
        return machine()
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize('cuda_graph', [False, True])
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8_symmetric'])
def test_plans_answer_like_onnx_runtime(here, tmp_path, precision, cuda_graph):
    ladder = variant_ladder.make(tmp_path / 'ladder')
    cache = PlanCache(tmp_path / 'cache')
    for level in ladder.levels:
        build_level(here, ladder, level, precision, cache, tell=print)
    make = tensorrt_factory(ladder, precision, here=here, cache=cache, cuda_graph=cuda_graph)
    engines = [make(ladder, level) for level in ladder.levels]
    for engine in engines:
        engine.load()
        engine.warm_up(5)
    random = np.random.default_rng(0)
    for engine, level in zip(engines, ladder.levels, strict=True):
        reference = OnnxRuntimeEngine(ladder.file(level, level.precision(precision).file))
        reference.load()
        for _ in range(5):
            picture = random.random(variant_ladder.SIZE, np.float32)
            wanted = reference.infer(picture)['logits']
            got = engine.infer(picture)['logits']
            assert np.abs(got - wanted).max() <= TOLERANCE[precision] * np.abs(wanted).max()
    for engine in engines:
        engine.close()


@pytest.mark.timeout(1800)
def test_a_detector_flies_and_is_profiled(here, tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'ladder', 2, 64, 48)
    cache = PlanCache(tmp_path / 'cache')
    for level in ladder.levels:
        assert build_level(here, ladder, level, 'fp32', cache)[1]
        assert not build_level(here, ladder, level, 'fp32', cache)[1]
    make = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)
    engines = {level.name: make(ladder, level) for level in ladder.levels}
    for engine in engines.values():
        engine.load()
    picture = tiny_ladder.scene(64, 48, [(8, 8, 40, 30, 'green')])
    tensor = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    for name, engine in engines.items():
        scores = engine.infer(tensor)['predictions'][0, 4:]
        assert scores.max() == pytest.approx(tiny_ladder.LEVEL_SCORE[name], abs=1e-3)
    profiles = profile_engines(engines, runs=50)
    assert all(profile.latency_ms_p50 > 0 for profile in profiles.values())
    for engine in engines.values():
        engine.close()


@pytest.mark.timeout(600)
def test_a_plan_that_is_none_is_refused(here, tmp_path):
    ladder = variant_ladder.make(tmp_path / 'ladder')
    cache = PlanCache(tmp_path / 'cache')
    for level in ladder.levels:
        cache.store(here.key(ladder, level, 'fp32'), b'not a plan', {})
    engine = tensorrt_factory(ladder, 'fp32', here=here, cache=cache)(ladder, ladder.levels[0])
    with pytest.raises(EngineError, match='does not take the plan'):
        engine.load()
