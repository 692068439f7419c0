# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A recipe asks for precisions; the ladder holds those that are good enough, judged as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_job

from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.job import prune
from uav_prune_perception.methods.recipe_source import RecipeError
from uav_prune_perception.onboard.profiling import levels
from uav_prune_perception.onboard.telemetry.machine import device_name

ALL = 'export.precisions=[fp32, fp16, int8, int8_symmetric]'
TWO_LEVELS = 'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.5}]'


@pytest.mark.slow
def test_a_ladder_in_four_precisions(tmp_path: Path) -> None:
    job = tiny_job.classifier(tmp_path, ALL, TWO_LEVELS, 'export.max_accuracy_drop=0.9')
    reporter = tiny_job.Quiet()
    prune(job, tmp_path / 'ladder', reporter)
    ladder = open_ladder(tmp_path / 'ladder')
    for level in ladder.levels:
        assert level.precisions == ('fp32', 'fp16', 'int8', 'int8_symmetric')
        for precision in level.precisions:
            variant = level.precision(precision)
            assert ladder.file(level, variant.file).is_file()
            assert variant.accuracy.split == 'test'
        assert level.variants['int8'].profiles[device_name()].engine.count('int8') == 1
        assert not level.variants['int8_symmetric'].profiles
    assert any('100: int8: top1' in line and 'on test' in line for line in reporter.lines)
    again = tiny_job.Quiet()
    prune(job, tmp_path / 'again', again)
    assert open_ladder(tmp_path / 'again').levels[0].variants.keys() == {
        'fp16', 'int8', 'int8_symmetric'
    }


@pytest.mark.slow
def test_a_variant_that_loses_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tiny_job.classifier(tmp_path, 'export.precisions=[fp32, int8]', TWO_LEVELS)
    from uav_prune_perception.export import variant_file

    def useless(path: Path, precision: str):
        return lambda images: images[:, :2, 0, 0] * 0

    monkeypatch.setattr(variant_file, '_predict', useless)
    reporter = tiny_job.Quiet()
    ladder = prune(job, tmp_path / 'ladder', reporter)
    refused = [line for line in reporter.lines if 'refused' in line]
    worse = [level for level in ladder.levels if level.accuracy.value > 0.6]
    assert len(refused) >= len(worse)
    for line in refused:
        assert 'export.max_accuracy_drop' in line
    for level in worse:
        assert level.precisions == ('fp32',)
        assert 'model.int8.onnx' not in level.files


@pytest.mark.slow
def test_a_recipe_may_insist_that_levels_are_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, 'NOISE', 2.0)  # then no level is ever faster
    job = tiny_job.classifier(
        tmp_path, 'prune.round_to=1', 'export.require_faster=true', TWO_LEVELS
    )
    with pytest.raises(MethodError, match=r'is not faster than .*require_faster: false') as caught:
        prune(job, tmp_path / 'ladder', tiny_job.Quiet())
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'ladder').exists()

    reporter = tiny_job.Quiet()
    job = tiny_job.classifier(tmp_path, 'prune.round_to=1', TWO_LEVELS)
    prune(job, tmp_path / 'ladder', reporter)
    assert any('--set prune.round_to=auto (now 1)' in line for line in reporter.lines)


@pytest.mark.parametrize('given', ['[int8]', '[fp32, fp32]', '[]'])
def test_fp32_must_be_among_the_precisions(tmp_path: Path, given: str) -> None:
    with pytest.raises(RecipeError, match='precisions: must name fp32 and each only once'):
        tiny_job.recipe(tmp_path, f'export.precisions={given}')


def test_a_precision_that_does_not_exist_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"export\.precisions\.1.*'int4'"):
        tiny_job.recipe(tmp_path, 'export.precisions=[fp32, int4]')
