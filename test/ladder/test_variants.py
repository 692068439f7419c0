# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Schema version 2: levels in other precisions; version 1 ladders open as before."""

from __future__ import annotations

import json

import plain_ladder
import pytest

from uav_prune_perception.ladder import (
    Accuracy,
    DeviceProfile,
    LadderError,
    LadderWriter,
    Variant,
    add_profiles,
    open_ladder,
)
from uav_prune_perception.ladder.document import digest

INT8 = Variant(
    'model.int8.onnx', Accuracy('mAP50', 0.6, 'test', 100),
    {'here': DeviceProfile('e', 9, 1.0, 1.1, 1.2, energy_j=0.1, power_w=5, throughput_hz=50.0,
                           memory_mib=3.5, temperature_c=61, clock_mhz=1500, measured='today')},
)


@pytest.fixture
def ladder(tmp_path):
    plain = plain_ladder.write(tmp_path / 'plain')
    writer = LadderWriter(
        tmp_path / 'ladder', name='v', task=plain.task, classes=plain.classes,
        input=plain.input, decode=plain.decode, provenance=plain.provenance,
    )
    with writer:
        level = plain.levels[0]
        folder = writer.level_folder('100')
        for name in ('model.onnx', 'model.int8.onnx'):
            (folder / name).write_bytes(b'x')
        writer.add_level('100', kept_macs=1.0, macs=level.macs, params=level.params,
                         accuracy=level.accuracy, variants={'int8': INT8})
        return writer.commit()


def test_variants_come_back_as_they_were_written(ladder):
    level = open_ladder(ladder.folder).level('100')
    assert level.variants == {'int8': INT8}
    assert level.precisions == ('fp32', 'int8')
    assert level.precision('int8') == INT8
    assert level.precision('fp32') == Variant('model.onnx', level.accuracy, level.profiles)
    with pytest.raises(LadderError, match='no fp16 variant, only fp32, int8; add it'):
        level.precision('fp16')


def test_profiles_of_a_variant_are_written_beside_those_of_fp32(ladder):
    profile = DeviceProfile('e', 5, 2.0, 2.0, 2.0)
    add_profiles(ladder, 'orin', {'100': profile}, 'int8')
    level = open_ladder(ladder.folder).level('100')
    assert level.variants['int8'].profiles == {**INT8.profiles, 'orin': profile}
    assert level.profiles == {}
    with pytest.raises(LadderError, match='no fp16'):
        add_profiles(ladder, 'orin', {'100': profile}, 'fp16')


def test_a_variant_without_its_file_is_refused(ladder):
    path = ladder.folder / 'ladder.json'
    document = json.loads(path.read_text())
    document['levels'][0]['variants']['int8']['file'] = 'model.fp16.onnx'
    document['digest'] = digest(document)
    path.write_text(json.dumps(document))
    with pytest.raises(LadderError, match=r'int8 variant is model\.fp16\.onnx, which is not'):
        open_ladder(ladder.folder)


def test_a_version_1_ladder_opens_and_becomes_version_2_when_it_is_profiled(tmp_path):
    ladder = plain_ladder.write(tmp_path / 'ladder')
    path = ladder.folder / 'ladder.json'
    document = json.loads(path.read_text())
    document['schema_version'] = 1
    for level in document['levels']:
        del level['variants']
    document['digest'] = digest(document)
    path.write_text(json.dumps(document))
    old = open_ladder(ladder.folder)
    assert old == ladder
    add_profiles(old, 'orin', {'50': DeviceProfile('e', 5, 2.0, 2.0, 2.0)})
    assert json.loads(path.read_text())['schema_version'] == 2
    assert open_ladder(ladder.folder).level('50').profiles['orin'].n == 5
