# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A classifier from a folder of pictures, and jobs that must not be started."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_job import Quiet

from uav_prune_perception.channels import PruningPlan, load_pruned
from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.job import prune
from uav_prune_perception.methods.recipe import load_recipe
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.task import TrainingError

RECIPE = """\
name: colours
data: {{kind: image_folder, root: {root}, width: 24, height: 24}}
network:
  name: resnet_cifar
  options: {{depth: 8}}
train: {{epochs: 3, batch_size: 16, threads: 1}}
prune:
  levels:
    - {{kept_macs: 1.0}}
    - {{kept_macs: 0.5}}
    - {{kept_macs: 0.2}}
finetune: {{epochs: 1, batch_size: 16, threads: 1}}
export: {{profile_runs: 5}}
"""


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reddish and bluish noise: 40 pictures of each."""
    folder = tmp_path_factory.mktemp('pictures')
    random = np.random.default_rng(0)
    for name, channel in (('red', 0), ('blue', 2)):
        (folder / name).mkdir()
        for index in range(40):
            image = random.integers(0, 120, (24, 24, 3), dtype=np.uint8)
            image[:, :, channel] += 110
            Image.fromarray(image).save(folder / name / f'{index}.png')
    return folder


def written(pictures: Path, folder: Path) -> Path:
    path = folder / 'colours.yaml'
    path.write_text(RECIPE.format(root=pictures))
    return path


@pytest.mark.parametrize(
    'settings',
    [
        [],
        ['prune.from=dense', 'prune.allocation=uniform', 'finetune.distil=true'],
    ],
    ids=['progressive', 'each from the dense network, with a teacher'],
)
def test_a_folder_of_pictures_becomes_a_ladder(
    pictures: Path, tmp_path: Path, settings: list[str]
) -> None:
    recipe = load_recipe(written(pictures, tmp_path), settings)
    prune(recipe, tmp_path / 'ladder', Quiet())
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.task == 'classification'
    assert ladder.classes == ('blue', 'red')
    assert [level.name for level in ladder.levels] == ['100', '50', '20']
    assert [level.kept_macs for level in ladder.levels] == pytest.approx([1, 0.5, 0.2], rel=0.01)
    assert ladder.levels[0].accuracy.value > 0.9, 'red and blue can be told apart'
    for level in ladder.levels:
        assert level.accuracy.metric == 'top1'
        assert set(level.accuracy.per_class) == {'red', 'blue'}


def test_a_trained_network_is_pruned_without_training_it_again(
    pictures: Path, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    trained = build_network('resnet_cifar', classes=2, depth=8)
    torch.save(trained.state_dict(), tmp_path / 'mine.pt')
    settings = [f'network.weights={tmp_path}/mine.pt', 'train.epochs=0', 'finetune.epochs=0']
    reporter = Quiet()
    ladder = prune(
        load_recipe(written(pictures, tmp_path), settings), tmp_path / 'ladder', reporter
    )
    again = load_pruned(
        lambda: build_network('resnet_cifar', classes=2, depth=8),
        ladder.file(ladder.levels[0]).parent,
    )
    for name, value in trained.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    plan = PruningPlan.load(ladder.file(ladder.levels[2], 'plan.json'))
    assert plan.kept['conv1'][1] == trained.conv1.out_channels, 'widths count from the dense net'


@pytest.mark.parametrize(
    ('settings', 'parts'),
    [
        (['data.root=/nowhere'], ['--set data.root=/nowhere', 'no such folder']),
        (['data.widht=24'], ['--set data.widht=24: data.widht: unknown', '"width"']),
        (['data.kind=image_foldr'], ['data.kind', 'did you mean "image_folder"']),
        (['data.width=wide'], ['colours.yaml:2: data']),
        (['network.name=resnet_cifr'], ['did you mean "resnet_cifar"']),
        (['network.options.depht=8'], ['colours.yaml:3: network', 'depht']),
        (['network.name=aerial_detector', 'network.options={}'], ['does not fit', '[1, 2]']),
        (['network.weights=/nowhere.pt'], ['/nowhere.pt']),
        (['train.device=gpu7'], ['--set train.device=gpu7: train.device: "gpu7" cannot be used']),
        (['prune.method=l7'], ['prune.method: no "l7"; there are ', ', l1, ']),
        (['prune.allocation=globl'], ['did you mean "global"']),
        (['prune.keep=[conv9]'], ['prune.keep: no module "conv9"']),
        (['prune.min_channels=14'], ['colours.yaml:11: level 20', 'narrowest network allowed']),
    ],
)
def test_what_cannot_work_is_refused_before_any_training(
    pictures: Path, tmp_path: Path, settings: list[str], parts: list[str]
) -> None:
    reporter = Quiet()
    with pytest.raises(ValueError, match=r'.') as caught:
        prune(load_recipe(written(pictures, tmp_path), settings), tmp_path / 'ladder', reporter)
    message = str(caught.value)
    assert type(caught.value).__module__.startswith('uav_prune_perception.')
    assert '\n' not in message
    for part in parts:
        assert part in message
    assert not any('training' in line for line in reporter.lines)
    assert not (tmp_path / 'ladder').exists()


def test_a_loss_that_explodes_is_said_and_leaves_no_ladder(pictures: Path, tmp_path: Path) -> None:
    settings = ['train.lr=1e30', 'train.optimizer=sgd', 'train.clip_norm=0']
    with pytest.raises(TrainingError, match=r'loss became .* lower lr'):
        prune(load_recipe(written(pictures, tmp_path), settings), tmp_path / 'ladder', Quiet())
    assert not (tmp_path / 'ladder').exists()


def test_layers_that_are_to_be_kept_are_kept(pictures: Path, tmp_path: Path) -> None:
    settings = [
        'prune.keep=[conv1]', 'prune.min_channels=2', 'train.epochs=0', 'finetune.epochs=0'
    ]
    torch.save(build_network('resnet_cifar', classes=2, depth=8).state_dict(), tmp_path / 'w.pt')
    recipe = load_recipe(
        written(pictures, tmp_path), [*settings, f'network.weights={tmp_path}/w.pt']
    )
    ladder = prune(recipe, tmp_path / 'ladder', Quiet())
    plan = PruningPlan.load(ladder.file(ladder.levels[2], 'plan.json'))
    assert not [cut for cut in plan.cuts if cut.parameter.startswith('conv1.')]
    assert [cut for cut in plan.cuts if cut.parameter.startswith('layer')]


def test_the_budget_error_is_a_method_error(pictures: Path, tmp_path: Path) -> None:
    recipe = load_recipe(written(pictures, tmp_path), ['prune.round_to=16'])
    with pytest.raises(MethodError, match=r'colours\.yaml:\d+: level'):
        prune(recipe, tmp_path / 'ladder', Quiet())


def test_levels_of_different_kinds_lie_in_the_ladder_by_their_macs(
    pictures: Path, tmp_path: Path
) -> None:
    """A share of the parameters, of the dense network, may be more MACs than the level above."""
    torch.save(build_network('resnet_cifar', classes=2, depth=8).state_dict(), tmp_path / 'w.pt')
    recipe = load_recipe(written(pictures, tmp_path), [
        'prune.min_channels=2', 'prune.from=dense', 'train.epochs=0', 'finetune.epochs=0',
        f'network.weights={tmp_path}/w.pt',
        'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.2}, {kept_params: 0.8}]',
    ])
    reporter = Quiet()
    ladder = prune(recipe, tmp_path / 'ladder', reporter)
    assert [level.name for level in ladder.levels] == ['100', '80', '20']
    assert ladder.levels[1].macs > ladder.levels[2].macs
    assert 'by their MACs the levels of the ladder are 100, 80, 20' in reporter.lines
