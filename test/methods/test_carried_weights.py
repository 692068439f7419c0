# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that bring their weights along in a file of their own, such as a .pt of ultralytics."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_job import Quiet, recipe
from torch import nn

from uav_prune_perception.methods.dense_phase import check_start
from uav_prune_perception.methods.job import open_task
from uav_prune_perception.methods.recipe_source import RecipeError
from uav_prune_perception.methods.run_folder import RunFolder
from uav_prune_perception.methods.stages import Stages, base_key
from uav_prune_perception.networks.weights import Origin

SCENES = ('car', 'truck', 'person', 'boat')
UNIT = ('data.mean=0', 'data.std=1')


def started(folder: Path, origin: Origin, *settings: str) -> list[str]:
    """What is said when the dense network begins from ``origin``."""
    job = recipe(folder, *settings)
    reporter, model = Quiet(), nn.Module()
    task = open_task(job, Quiet())
    model.origin = origin  # type: ignore[assignment]
    with RunFolder(folder / 'run') as run:
        check_start(Stages(job, task, run, reporter), model)
    return reporter.lines


def test_a_file_that_was_trained_on_this_data_is_taken_without_a_word(tmp_path):
    assert started(tmp_path, Origin('best.pt', SCENES, 3), *UNIT) == []


@pytest.mark.parametrize(
    ('origin', 'settings', 'words'),
    [
        (Origin('best.pt', SCENES[::-1], 3), UNIT, 'finds boat, person, truck, car, but'),
        (Origin('best.pt', SCENES, 3), (), 'was trained with mean [0.0] and std [1.0]'),
    ],
)
def test_classes_and_normalisation_that_differ_are_named(tmp_path, origin, settings, words):
    (line,) = started(tmp_path, origin, *settings)
    assert words in line
    assert 'tiny.yaml:' in line


@pytest.mark.parametrize('origin', [Origin('a.pt', ('x',) * 80, 3), Origin('a.pt', SCENES, 1)])
def test_a_head_made_anew_is_not_cut_untrained(tmp_path, origin):
    assert started(tmp_path, origin, *UNIT) == [], 'it is trained'
    carried = 'network={name: ultralytics, options: {model: a.pt}}'
    with pytest.raises(RecipeError, match=r'made anew .* train\.epochs above 0'):
        started(tmp_path, origin, *UNIT, carried, 'train.epochs=0')


def test_another_network_in_the_same_file_is_not_taken_from_an_earlier_run(tmp_path):
    def key(name: str) -> str:
        options = f'{{model: {tmp_path / name}}}'
        return base_key(
            recipe(tmp_path, f'network={{name: ultralytics, options: {options}}}'), task
        )

    task = open_task(recipe(tmp_path), Quiet())
    (tmp_path / 'best.pt').write_bytes(b'one')
    (tmp_path / 'moved.pt').write_bytes(b'one')
    before = key('best.pt')
    assert key('moved.pt') == before, 'the place may change'
    (tmp_path / 'best.pt').write_bytes(b'two')
    assert key('best.pt') != before, 'the content may not'
