# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune init``: every method's recipe is complete; questions are asked in a terminal."""

from __future__ import annotations

import argparse

import pytest
import yaml
from PIL import Image

from uav_prune_perception.cli.init import collect
from uav_prune_perception.cli.main import main
from uav_prune_perception.methods.recipe import load_recipe
from uav_prune_perception.methods.registry import METHODS, make_method
from uav_prune_perception.training.task_factory import make_task


@pytest.mark.parametrize('method', sorted(METHODS))
def test_a_recipe_of_every_method_is_complete(tmp_path, method):
    path = tmp_path / 'mine.yaml'
    assert main(['init', str(path), '--method', method, '--data', 'generated']) == 0
    recipe = load_recipe(path)
    assert (recipe.name, recipe.prune.method) == ('mine', method)
    make_method(recipe)  # raises where a section is missing or not used
    if recipe.sparse is not None:
        assert recipe.prune.options['strength'] == 0.01, 'ten epochs need more than papers give'
    if recipe.search is not None:
        assert recipe.search.epochs == 0, 'ninety candidates are not trained unasked'


def test_flags_say_everything_and_the_data_loads(tmp_path, capsys):
    for name in ('field', 'water'):
        (tmp_path / 'pictures' / name).mkdir(parents=True)
        for index in range(8):
            color = (index * 20, 90, 9)
            Image.new('RGB', (20, 20), color).save(tmp_path / 'pictures' / name / f'{index}.png')
    path = tmp_path / 'fields.yaml'
    assert main([
        'init', str(path), '--data', str(tmp_path / 'pictures'), '--size', '32x24', '--grey',
        '--levels', '100,50', '--network', 'vgg_bn', '--weights', 'old.pt', '--method', 'l1',
    ]) == 0
    assert f'uav-prune prune {path} -o fields_ladder' in capsys.readouterr().out
    recipe = load_recipe(path)
    assert recipe.train.epochs == 0
    assert str(recipe.network.weights) == 'old.pt'
    assert [level.share for level in recipe.prune.levels] == [1.0, 0.5]
    assert recipe.finetune is not None
    assert recipe.finetune.distil, 'the dense network teaches'
    task = make_task(recipe.data)
    assert (task.kind, task.classes) == ('classification', ('field', 'water'))
    assert (task.input.width, task.input.height, task.input.channels) == (32, 24, 1)
    assert '#' in path.read_text()


@pytest.mark.parametrize(('network', 'taught'), [('yolo', True), ('mine:detector', False)])
def test_a_detector_s_recipe_is_what_was_best_where_it_was_measured(tmp_path, network, taught):
    path, data = tmp_path / 'mine.yaml', tmp_path / 'data.yaml'
    data.write_text(yaml.safe_dump({'train': 'images', 'names': ['a']}))
    assert main(['init', str(path), '--data', str(data), '--network', network]) == 0
    recipe = load_recipe(path)
    assert recipe.prune.method == 'elimination'
    assert (recipe.prune.reconstruct, recipe.prune.allocation) == (True, 'inner')
    assert recipe.finetune is not None
    assert recipe.finetune.distil is taught
    assert recipe.data['repeat_threshold'] == 0.5


def test_a_trained_file_of_ultralytics_goes_where_it_is_opened(tmp_path):
    path, data = tmp_path / 'mine.yaml', tmp_path / 'data.yaml'
    data.write_text(yaml.safe_dump({'train': 'images', 'names': ['a']}))
    flags = ['--data', str(data), '--network', 'ultralytics']
    assert main(['init', str(path), *flags, '--weights', 'best.pt']) == 0
    recipe = load_recipe(path)
    assert (recipe.network.options, recipe.network.weights) == ({'model': 'best.pt'}, None)
    assert (recipe.train.epochs, recipe.prune.allocation) == (0, 'global')
    assert [recipe.data[key] for key in ('mean', 'std', 'width', 'height')] == [0, 1, 640, 640]
    assert recipe.finetune is not None
    assert recipe.finetune.distil
    assert main(['init', str(path), '--overwrite', *flags]) == 0
    assert load_recipe(path).network.options == {'model': 'yolov8n.yaml'}


def test_questions_are_asked_for_what_no_flag_says(tmp_path):
    (tmp_path / 'data.yaml').write_text(yaml.safe_dump({'train': 'images', 'names': ['a']}))
    asked = []

    def question(text, default):
        asked.append(text)
        return default

    flags = dict.fromkeys(('task', 'size', 'network', 'weights', 'levels'))
    options = argparse.Namespace(
        recipe=tmp_path / 'x.yaml', data=str(tmp_path / 'data.yaml'), method='l1', grey=False,
        **flags,
    )
    answers = collect(options, question)
    assert (answers.task, answers.network) == ('detection', 'aerial_detector')
    assert len(asked) == 4


@pytest.mark.parametrize(
    ('flags', 'words'),
    [
        (['--size', '640'], '--size: "640" is not WIDTHxHEIGHT'),
        (['--levels', '70,100'], '--levels: "70,100" is not a list of falling percentages'),
        (['--method', 'l2rr'], 'no "l2rr"; did you mean'),
        (['--data', 'nowhere'], 'no such folder'),
    ],
)
def test_answers_that_make_no_sense_are_one_line(tmp_path, capsys, flags, words):
    assert main(['init', str(tmp_path / 'x.yaml'), *flags]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_recipe_is_not_replaced_by_chance(tmp_path, capsys):
    path = tmp_path / 'x.yaml'
    path.write_text('mine\n')
    assert main(['init', str(path)]) == 2
    assert path.read_text() == 'mine\n'
    assert main(['init', str(path), '--overwrite']) == 0
    assert 'x_ladder' in path.read_text()
