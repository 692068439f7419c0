# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`prune.round_to`: widths that engines compute fast, where a level can be met by them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_job
import torch

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.cutting import Limits
from uav_prune_perception.methods.recipe_source import RecipeError
from uav_prune_perception.networks.registry import build_network

LEVELS = 'prune.levels=[{kept_macs: 0.5, name: half}, {kept_macs: 0.16, name: sixth}]'


@pytest.fixture(scope='module')
def resnet20() -> ChannelGraph:
    model = build_network('resnet_cifar', classes=10, depth=20).eval()
    return ChannelGraph.trace(model, torch.rand(1, 3, 32, 32))


def steps(folder: Path, graph: ChannelGraph, *settings: str) -> dict[str, tuple[int, ...]]:
    recipe = tiny_job.recipe(folder, LEVELS, *settings)
    limits = Limits(recipe, graph)
    return {level.name: limits.steps(level) for level in recipe.prune.levels}


def test_by_eight_where_that_reaches_the_level_and_finer_for_the_others(
    tmp_path: Path, resnet20: ChannelGraph
) -> None:
    # With 16, 32 and 64 channels the narrowest network by 8 keeps 18.5 % of the MACs
    assert steps(tmp_path, resnet20) == {'half': (8, 4, 2, 1), 'sixth': (4, 2, 1)}


def test_a_number_in_the_recipe_holds_for_every_level(
    tmp_path: Path, resnet20: ChannelGraph
) -> None:
    found = steps(tmp_path, resnet20, 'prune.round_to=2')
    assert found == {'half': (2,), 'sixth': (2,)}


def test_levels_have_such_widths(tmp_path: Path) -> None:
    job = tiny_job.classifier(tmp_path, 'network.options={depth: 14}', 'train.epochs=1',
                              'finetune.epochs=0', 'prune.levels=[{kept_macs: 0.5}]')
    (level,) = tiny_job.build(job, tmp_path)
    widths = {module.out_channels for module in level.model.modules()
              if isinstance(module, torch.nn.Conv2d)}
    assert widths < {8, 16, 24, 32, 40, 48, 56, 64}
    assert len(widths) > 1


def test_finer_widths_are_told_of(tmp_path: Path) -> None:
    job = tiny_job.classifier(tmp_path, 'train.epochs=1', 'finetune.epochs=0',
                              'prune.levels=[{kept_macs: 0.5, name: half}]')
    reporter = tiny_job.Quiet()
    tiny_job.build(job, tmp_path, reporter=reporter)
    assert any('half: widths in multiples of 4: by 8' in line for line in reporter.lines)


@pytest.mark.parametrize('given', ['0', 'eight', '2.5'])
def test_what_is_no_step_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(RecipeError, match=r"prune\.round_to: must be .* from 1, or 'auto', not"):
        tiny_job.recipe(tmp_path, f'prune.round_to={given}')
