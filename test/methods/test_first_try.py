# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Two steps of training on a handful of pictures, as people try a tool out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_job import Quiet, build, recipe
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.ladder import Accuracy
from uav_prune_perception.methods.dense_phase import SETTLED, leftover, tell_unseen
from uav_prune_perception.training.detection_task import DetectionTask
from uav_prune_perception.training.task_factory import make_task


def variances(model: nn.Module) -> torch.Tensor:
    """Those that BatchNorm divides by, of all channels."""
    return torch.cat([
        module.running_var for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_var is not None
    ])


def test_the_dense_network_of_a_first_try_is_judged_by_averages_of_its_own(
    tmp_path: Path
) -> None:
    dense = build(recipe(tmp_path, 'prune.levels=[{kept_macs: 1.0}]'), tmp_path)[0]
    begun_with_one = (variances(dense.model) - 1).abs() < 0.2
    assert begun_with_one.float().mean() < 0.5


@pytest.mark.parametrize(('momentum', 'steps', 'settled'), [
    (0.1, 10, False), (0.1, 50, True), (0.03, 50, False), (0.03, 160, True), (None, 1, True),
])
def test_averages_settle_with_steps(momentum: float | None, steps: int, settled: bool) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, momentum=momentum))
    assert (leftover(model, steps) <= SETTLED) is settled
    assert leftover(nn.Conv2d(1, 2, 1), 1) == 0.0


@pytest.mark.parametrize(('whole', 'lines'), [(0.3, 1), (0.005, 0)])
def test_a_class_that_a_trained_detector_never_finds_is_named(whole: float, lines: int) -> None:
    task, told = make_task({'kind': 'generated_scenes', 'train': 6, 'val': 2, 'test': 2}), Quiet()
    first, *others = task.classes
    found = {first: 0.004, **dict.fromkeys(others, whole)}
    tell_unseen(task, Accuracy('mAP50', whole, 'val', 2, found), told)
    assert isinstance(task, DetectionTask)
    task.repeat_threshold = 0.5
    tell_unseen(task, Accuracy('mAP50', whole, 'val', 2, found), told)
    assert len(told.lines) == 2 * lines
    for line in told.lines[lines:]:
        assert 'longer training' in line
    for line in told.lines[:lines]:
        assert f'finds no {first} (mAP50 0.0040 on val' in line
        assert 'of 6 training pictures' in line
        assert 'data.repeat_threshold' in line
