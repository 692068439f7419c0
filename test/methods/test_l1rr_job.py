# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1RR and network slimming by recipe alone, on a detector and a classifier, and interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_job import Quiet, build, recipe
from tiny_tasks import corner_pictures

from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.recipe_source import RecipeError
from uav_prune_perception.methods.stages import Stages

SPARSE = ('sparse.epochs=2', 'sparse.batch_size=4', 'sparse.threads=1', 'sparse.optimizer=sgd')
L1RR = (
    'prune.method=l1rr', 'prune.options.pictures=4', 'prune.options.strength=0.05',
    'prune.options.shift_factor=1', 'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.5}]', *SPARSE,
)


def classifier(folder: Path) -> tuple[str, ...]:
    """Settings that turn the tiny job into a classifier's."""
    return (
        f'data={{kind: image_folder, root: {corner_pictures(folder)}, width: 24, height: 24}}',
        'network={name: resnet_cifar, options: {depth: 8}}',
        'train.batch_size=16', 'sparse.batch_size=16', 'finetune.batch_size=16',
    )


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
def test_a_recipe_gives_a_ladder(tmp_path: Path, kind: str) -> None:
    extra = classifier(tmp_path) if kind == 'classifier' else ()
    reporter = Quiet()
    job = recipe(tmp_path, *L1RR, *extra, 'prune.options.attention_weight=0.5',
                 'prune.options.protect=small_objects')
    _, level = build(job, tmp_path, reporter=reporter)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)
    assert reporter.lines.count('sparse training') == 1
    assert level.plan.placements, 'producers of a sum keep channels of their own'
    assert not level.model._forward_hooks
    assert not any(m._forward_hooks for m in level.model.modules())


def test_attention_may_choose_the_ratio(tmp_path: Path) -> None:
    reporter = Quiet()
    job = recipe(tmp_path, *L1RR, *classifier(tmp_path), 'prune.options.ratio=attention')
    _, level = build(job, tmp_path, reporter=reporter)
    assert any('feature attention allows' in line for line in reporter.lines)
    assert level.kept_macs < 0.95


def test_levels_of_the_same_network_measure_its_attention_once(tmp_path: Path) -> None:
    levels = 'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.7}, {kept_macs: 0.5}]'
    for start, times in (('dense', 1), ('previous', 2)):
        reporter, folder = Quiet(), tmp_path / start
        folder.mkdir()
        job = recipe(folder, *L1RR, *classifier(folder), levels, f'prune.from={start}')
        built = build(job, folder, reporter=reporter)
        assert [round(level.kept_macs, 1) for level in built] == [1.0, 0.7, 0.5]
        assert sum('feature attention' in line for line in reporter.lines) == times


def test_network_slimming_keeps_one_set_in_a_sum(tmp_path: Path) -> None:
    job = recipe(
        tmp_path, *SPARSE, *classifier(tmp_path), 'prune.method=network_slimming',
        'prune.options.strength=0.05',
    )
    levels = build(job, tmp_path)
    assert [level.kept_macs for level in levels] == pytest.approx([1.0, 0.6, 0.3], rel=0.01)
    assert not any(level.plan.placements for level in levels)


def test_sparse_training_makes_scales_smaller_than_training_without_penalty(
    tmp_path: Path,
) -> None:
    """What the method is about, in the stage that it leaves in the run folder."""
    sizes = []
    for strength in (1e-9, 0.3):
        folder = tmp_path / str(strength)
        settings = (*L1RR, *classifier(folder), 'sparse.lr=0.02')
        job = recipe(folder, *settings, f'prune.options.strength={strength}')
        build(job, folder)
        (stage,) = folder.glob('run-*/sparse-*/weights.safetensors')
        weights = load_file(str(stage))
        scales = [v for name, v in weights.items() if name.endswith(('bn1.weight', 'bn2.weight'))]
        sizes.append(torch.cat(scales))
    assert sizes[1].abs().mean() < 0.9 * sizes[0].abs().mean()


def test_a_run_that_is_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = (*L1RR, *classifier(tmp_path), 'prune.options.dynamic=closed_loop')
    job = recipe(tmp_path, *settings, 'sparse.epochs=3')
    whole = build(job, tmp_path / 'whole')

    class Killed(Quiet):
        sparse = False

        def phase(self, title: str, steps: int) -> None:
            self.sparse = title == 'sparse training'

        def step(self, done: int, text: str = '') -> None:
            if self.sparse and text.startswith('epoch 3/'):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path / 'broken', reporter=Killed())
    resumed = build(job, tmp_path / 'broken')
    for name, value in whole[1].model.state_dict().items():
        assert torch.equal(value, resumed[1].model.state_dict()[name]), name


@pytest.mark.parametrize(
    ('settings', 'error', 'message'),
    [
        (('sparse=null',), RecipeError, 'sparse: is missing; method l1rr needs it'),
        (('prune.options.strenght=1',), RecipeError, 'did you mean "strength"'),
        (('prune.options.protect=ships',), RecipeError, 'worst_class'),
    ],
)
def test_what_cannot_work_is_said(
    tmp_path: Path, settings: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build(recipe(tmp_path, *L1RR, *settings), tmp_path)


def test_a_network_without_batchnorm_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain(self: Stages) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3),
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4),
        ).eval()

    monkeypatch.setattr(Stages, 'fresh_network', plain)
    job = recipe(tmp_path, *L1RR, *classifier(tmp_path), 'prune.min_channels=2')
    with pytest.raises(MethodError, match='no channel that can be cut has a BatchNorm'):
        build(job, tmp_path)
