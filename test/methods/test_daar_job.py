# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR by recipe alone, both modes, on a detector and a classifier, and interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_job import Quiet, build, recipe
from tiny_tasks import corner_pictures

from uav_prune_perception.methods.recipe_source import RecipeError

DAAR = (
    'prune.method=daar', 'prune.options.batches=1', 'prune.options.batch_size=4',
    'prune.options.probe_epochs=1', 'prune.options.probe_batch_size=4',
    'prune.options.boundary=0.25', 'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.5}]',
)
ACCURACY = (
    'prune.options.mode=accuracy', 'search.epochs=1', 'search.batch_size=4', 'search.threads=1',
    'prune.options.most_trials=4',
)


def classifier(folder: Path) -> tuple[str, ...]:
    return (
        f'data={{kind: image_folder, root: {corner_pictures(folder)}, width: 24, height: 24}}',
        'network={name: resnet_cifar, options: {depth: 8}}', 'train.epochs=6',
        'train.batch_size=16', 'finetune.batch_size=16', 'prune.options.boundary=0.5',
    )


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
def test_a_recipe_gives_a_ladder(tmp_path: Path, kind: str) -> None:
    extra = classifier(tmp_path) if kind == 'classifier' else ()
    _, level = build(recipe(tmp_path, *DAAR, *extra), tmp_path)
    assert level.kept_macs == pytest.approx(0.5, rel=0.005)


def test_a_search_that_is_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = (*DAAR, *ACCURACY, *classifier(tmp_path), 'prune.levels=[{kept_macs: 0.1}]')
    job = recipe(tmp_path, *settings, 'prune.options.allowed_drop=0.3', 'search.batch_size=16')
    (whole,) = build(job, tmp_path / 'whole')
    assert 0.099 < whole.kept_macs < 1.0

    class Killed(Quiet):
        def phase(self, title: str, steps: int) -> None:
            if title.endswith('trial 3'):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path / 'broken', reporter=Killed())
    (resumed,) = build(job, tmp_path / 'broken')
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (('prune.options.attention=both',), 'prune.options.attention'),
        (('prune.options.boundry=0.5',), 'did you mean "boundary"'),
        ((*ACCURACY, 'prune.options.rate=uniform'), 'rate must be redundancy or spread'),
        (('prune.options.mode=accuracy',), 'search: is missing; method daar needs it'),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, settings: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        build(recipe(tmp_path, *DAAR, *settings), tmp_path)
