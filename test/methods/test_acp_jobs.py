# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ACP by recipe alone: a tiny detector and a tiny classifier, in each mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_job import Quiet, build, recipe

from uav_prune_perception.methods import judging
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.task import TrainingError

SEARCH = ('prune.method=acp', 'train.epochs=1', 'prune.min_channels=1', 'search.batch_size=4',
          'search.threads=1', 'prune.options.particles=3', 'prune.options.cycles=1',
          'prune.options.images=4', 'prune.options.pictures=4')


def job(folder: Path, mode: str, *more: str) -> Any:
    epochs = 0 if mode == 'budgeted' else 1
    return recipe(folder, f'prune.options.mode={mode}', *SEARCH, f'search.epochs={epochs}', *more)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Reddish and bluish noise, 20 pictures of each."""
    rng = np.random.default_rng(0)
    for name, channel in (('red', 0), ('blue', 2)):
        (tmp_path / 'pictures' / name).mkdir(parents=True)
        for index in range(20):
            noise = rng.integers(0, 160, (16, 16, 3), dtype=np.uint8)
            noise[..., channel] += 80
            Image.fromarray(noise).save(tmp_path / 'pictures' / name / f'{index}.png')
    return tmp_path / 'pictures'


def classifier(pictures: Path) -> tuple[str, ...]:
    data = f'{{kind: image_folder, root: {pictures}, width: 16, height: 16}}'
    return (f'data={data}', 'network.name=resnet_cifar', 'network.options={depth: 8}')


def search_state(folder: Path, level: str) -> dict[str, Any]:
    (state,) = folder.glob(f'run-*/cut-{level}-*/search.json')
    return dict(json.loads(state.read_text()))


def test_budgeted_levels_of_a_detector_hit_macs_and_parameters(tmp_path: Path) -> None:
    levels = '[{kept_macs: 1.0}, {kept_macs: 0.6}, {kept_params: 0.3}]'
    reporter = Quiet()
    made = build(job(tmp_path, 'budgeted', f'prune.levels={levels}'), tmp_path, None, reporter)
    assert made[1].kept_macs == pytest.approx(0.6, rel=0.01)
    assert made[2].params / made[0].params == pytest.approx(0.3, rel=0.01)
    assert sum('clusters at eps' in line for line in reporter.lines) == 2


@pytest.mark.parametrize('mode', ['as_released', 'as_intended'])
def test_the_papers_modes_search_inner_widths_of_a_classifier(
    tmp_path: Path, pictures: Path, mode: str
) -> None:
    asked = job(tmp_path, mode, *classifier(pictures), 'prune.levels=[{kept_macs: 0.6}]',
                'prune.options.eps=0.3', 'prune.options.min_samples=2')
    (level,) = build(asked, tmp_path)
    kept = level.plan.kept
    inner = {name: pair for name, pair in kept.items() if name.endswith('conv1') and '.' in name}
    assert inner
    assert all(1 <= width <= dense for width, dense in inner.values())
    assert all(a == b for name, (a, b) in kept.items() if name not in inner), 'streams stay whole'


@pytest.mark.slow
def test_a_detector_in_the_papers_mode_by_recipe_alone(tmp_path: Path) -> None:
    (level,) = build(job(tmp_path, 'as_intended', 'prune.levels=[{kept_macs: 0.6}]'), tmp_path)
    assert level.kept_macs < 1.0


def test_an_interrupted_search_ends_with_the_same_network(tmp_path: Path, pictures: Path) -> None:
    asked = job(tmp_path, 'as_intended', *classifier(pictures), 'prune.levels=[{kept_macs: 0.6}]')
    (whole,) = build(asked, tmp_path / 'whole')

    class Stops(Quiet):
        def step(self, done: int, text: str = '') -> None:
            if text.startswith('candidate 4 of'):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(asked, tmp_path / 'cut', None, Stops())
    reporter = Quiet()
    (resumed,) = build(asked, tmp_path / 'cut', None, reporter)
    assert '60: 4 candidates were judged by an earlier run' in reporter.lines
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_a_candidate_whose_loss_is_not_finite_does_not_end_the_search(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def explodes(*args: Any, **kwargs: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TrainingError('loss became nan in epoch 1, step 3')

    monkeypatch.setattr(judging, 'fit', explodes)
    reporter = Quiet()
    asked = job(tmp_path, 'as_intended', *classifier(pictures), 'prune.levels=[{kept_macs: 0.6}]')
    build(asked, tmp_path, None, reporter)
    assert '60: candidate 2 failed: loss became nan in epoch 1, step 3' in reporter.lines
    assert len(calls) == 6


def test_the_test_split_is_never_read(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits: set[str] = set()
    plain = ClassificationTask.evaluate

    def watched(self: Any, predict: Any, split: str = 'val', batch_size: int = 1) -> Any:
        splits.add(split)
        return plain(self, predict, split, batch_size)

    monkeypatch.setattr(ClassificationTask, 'evaluate', watched)
    build(job(tmp_path, 'budgeted', *classifier(pictures), 'prune.options.fitness=accuracy',
              'prune.levels=[{kept_macs: 0.6}]'), tmp_path)
    assert splits == {'val'}


def test_wrong_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'prune\.options\.partcles: no such key; did you mean'):
        build(job(tmp_path, 'budgeted', 'prune.options.partcles=3'), tmp_path)
    with pytest.raises(MethodError, match=r'narrowest network allowed'):
        build(job(tmp_path, 'budgeted', 'prune.levels=[{kept_macs: 0.001}]'), tmp_path)
