# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A recipe's faults are found before any work, and the message leads to the line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.cutting import Limits
from uav_prune_perception.methods.recipe import load_recipe
from uav_prune_perception.methods.recipe_source import RecipeError
from uav_prune_perception.methods.registry import make_method
from uav_prune_perception.networks.registry import build_network

GOOD = """\
name: small
data: {kind: generated_scenes, train: 4}
network:
  name: aerial_detector
train:
  epochs: 2
prune:
  levels:
    - {kept_macs: 1.0}
    - {kept_macs: 0.45}
    - {kept_macs: 0.125, name: tiny}
finetune:
  epochs: 1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / 'recipe.yaml'
    path.write_text(text)
    return path


def fault(folder: Path, text: str, *assignments: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(folder, text), assignments)
    message = str(caught.value)
    assert '\n' not in message
    return message


def test_levels_get_their_names_from_what_they_keep(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert [level.name for level in recipe.prune.levels] == ['100', '45', 'tiny']


def test_the_document_has_every_default_and_reads_back_as_the_same_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    document = recipe.document()
    assert document['prune']['from'] == 'previous'
    assert type(recipe).model_validate(document).document() == document


def test_a_number_is_good_enough_as_a_level_name(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD.replace('name: tiny', 'name: 12')))
    assert recipe.prune.levels[2].name == '12'


def test_assignments_replace_values(tmp_path: Path) -> None:
    recipe = load_recipe(
        write(tmp_path, GOOD),
        ['train.epochs=7', 'prune.levels.1.kept_macs=0.5', 'data.root=/some where', 'seed=3'],
    )
    assert recipe.train.epochs == 7
    assert recipe.prune.levels[1].kept_macs == 0.5
    assert recipe.data['root'] == '/some where'
    assert recipe.seed == 3


@pytest.mark.parametrize(
    ('old', 'new', 'parts'),
    [
        ('  epochs: 2', '  epoch: 2', [':6:', 'train.epoch', 'did you mean "epochs"']),
        ('  levels:', '  methd: l1\n  levels:', [':8:', 'prune.methd', 'did you mean "method"']),
        ('kept_macs: 0.45', 'kept_mac: 0.45', [':10:', 'levels.1.kept_mac', '"kept_macs"']),
        ('train:\n  epochs: 2\n', '', [':1:', 'train: is missing']),
        ('kept_macs: 0.45', 'name: "45"', [':10:', 'levels.1', 'give one of kept_macs']),
        ('0.45', '0.45, latency: 0.5', [':10:', 'levels.1', 'not kept_macs and latency']),
        ('  epochs: 2', '  epochs: many', [':6:', 'train.epochs', "'many'"]),
        ('0.45', '1.45', [':10:', 'kept_macs', '1.45']),
        ('0.45', '0.1', [':8:', 'must fall', '1, 0.1, 0.125']),
        ('  epochs: 2', '  epochs: 0', ['train.epochs is 0', 'network.weights']),
        ('name: small', 'name: ../up', [':1:', 'name', '../up']),
        ('name: tiny', 'name: 45', ['two levels have the same name']),
        ('  epochs: 2', '  epochs: 2\n  epochs: 3', [':7:', 'given twice', 'line 6']),
        ('data: {', 'data: {{', ['recipe.yaml:']),
    ],
)
def test_a_fault_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, parts: list[str]
) -> None:
    assert old in GOOD
    message = fault(tmp_path, GOOD.replace(old, new, 1))
    for part in parts:
        assert part in message


def test_a_wrong_assignment_is_blamed_on_the_command_line(tmp_path: Path) -> None:
    assert '--set train.epochs=lots: train.epochs' in fault(tmp_path, GOOD, 'train.epochs=lots')
    assert 'must be key=value' in fault(tmp_path, GOOD, 'train.epochs')
    assert '"prune.levels" in the recipe has no "9"' in fault(
        tmp_path, GOOD, 'prune.levels.9.kept_macs=0.5'
    )


def test_no_recipe_and_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'nowhere\.yaml: no such recipe'):
        load_recipe(tmp_path / 'nowhere.yaml')
    assert 'is a mapping' in fault(tmp_path, '- 1\n- 2\n')
    assert 'is a mapping' in fault(tmp_path, '')


RECIPES = sorted((Path(__file__).parents[2] / 'config/recipes').glob('*'))


@pytest.mark.parametrize('path', RECIPES)
def test_the_recipes_in_the_package_are_good(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    method = make_method(recipe)  # its options, and the sections that it needs
    assert method.recovery in ('finetune', 'retrain', 'scratch', 'none')
    network = recipe.network
    if network.name != 'ultralytics':  # whose file is the user's
        model = build_network(network.name, classes=5, channels=3, **network.options)
        assert sum(parameter.numel() for parameter in model.parameters()) > 10_000
    told = path.read_text().split('\nname:')[0]
    assert f'config/recipes/{path.name}' in told, 'says how it is run'


@pytest.mark.parametrize(
    'path', [path for path in RECIPES if 'name: aerial_detector' in path.read_text()]
)
def test_the_levels_of_our_detector_s_recipes_can_be_met(path: Path) -> None:
    recipe = load_recipe(path)
    channels = 1 if recipe.data['kind'] == 'hit_uav' else 3
    network = recipe.network
    model = build_network(
        network.name, classes=4, channels=channels, **network.options
    ).eval()
    example = torch.zeros(1, channels, 128, 160)
    limits = Limits(recipe, ChannelGraph.trace(model, example, keep=recipe.prune.keep))
    assert limits.dense_cost.macs > 0
