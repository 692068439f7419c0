# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import variant_ladder

from uav_prune_perception.onboard.engines.base import EngineError
from uav_prune_perception.onboard.engines.selection import choose_engines, precision_of
from uav_prune_perception.onboard.level_bank import LevelBank
from uav_prune_perception.onboard.level_profiles import profiled_costs


def test_the_precision_decides_the_file(tmp_path):
    ladder = variant_ladder.make(tmp_path / 'ladder')
    for precision, file in (('fp32', 'model.onnx'), ('int8', 'model.int8.onnx')):
        make = choose_engines(ladder, engine='onnxruntime', precision=precision, threads=1)
        engine = make(ladder, ladder.levels[1])
        assert engine.path == ladder.folder / 'levels/50' / file
        engine.load()
        assert engine.title.endswith(f'CPU {precision}, 1 thread')


def test_auto_takes_what_was_measured_fastest_here(tmp_path):
    measured = {'fp32': 4.0, 'int8': 3.0}
    ladder = variant_ladder.make(tmp_path / 'ladder', latency_ms=measured, device='here')
    level = ladder.levels[0]
    assert precision_of(level, 'auto', 'here') == 'int8'
    assert precision_of(level, 'auto', 'elsewhere') == 'fp32'
    assert precision_of(level, 'auto', 'here', engine='TensorRT') == 'fp32'
    assert precision_of(level, 'fp16', 'here') == 'fp16'
    slow = variant_ladder.make(tmp_path / 'slow', latency_ms={'fp32': 4.0, 'int8': 5.0})
    assert precision_of(slow.levels[0], 'auto', 'here') == 'fp32'
    assert [cost.latency_ms for cost in profiled_costs(ladder, 'here', 'auto')] == [3.0, 3.0]
    assert [cost.latency_ms for cost in profiled_costs(ladder, 'here')] == [4.0, 4.0]


def test_a_level_without_the_variant_is_out_of_use_and_says_how_to_get_it(tmp_path):
    ladder = variant_ladder.make(tmp_path / 'ladder', variants=())
    bank = LevelBank(ladder, choose_engines(ladder, engine='onnxruntime', precision='int8'))
    with pytest.raises(RuntimeError, match=r'no int8 variant, only fp32; add it by export\.prec'):
        bank.load()


def test_an_engine_that_does_not_exist_is_named(tmp_path):
    ladder = variant_ladder.make(tmp_path / 'ladder', variants=())
    with pytest.raises(EngineError, match='no engine "tflite"; there are auto, onnxruntime'):
        choose_engines(ladder, engine='tflite')
