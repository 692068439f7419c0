# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""[ours] A fitness without labels: how well a thin network's outputs follow the dense one's."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from uav_prune_perception.training.task import LearningTask

AT_ONCE = 64


@dataclass
class Agreement:
    """1 - (mean squared difference to the dense outputs) / (their variance), mean over rows.

    A row is a class, or a side of a box: each has a scale of its own. 1 is the dense network
    itself; a network that says the same for every picture has 0 or less. Works for any network
    with one output tensor [B, rows, ...].

    Attributes:
        pictures: how many of the held-out split.
        wanted: the dense outputs, float32 [B, rows, ...] of each batch.
    """

    pictures: int
    wanted: list[Tensor] = field(repr=False)

    @classmethod
    def with_(cls, dense: nn.Module, task: LearningTask, pictures: int) -> Agreement:
        """With the outputs of ``dense`` (the network that candidates are cut from)."""
        return cls(pictures, [_output(dense, images) for images in _look(task, pictures)])

    def __call__(self, model: nn.Module, task: LearningTask) -> float:
        """See `Fitness`."""
        wanted = torch.cat(self.wanted)
        found = torch.cat([_output(model, images) for images in _look(task, self.pictures)])
        spread = wanted.transpose(0, 1).flatten(1).var(dim=1, correction=0).clamp_min(1e-12)
        error = (found - wanted).transpose(0, 1).flatten(1).square().mean(dim=1)
        return 1.0 - float((error / spread).mean())


def _look(task: LearningTask, pictures: int) -> list[Tensor]:
    at_once = min(AT_ONCE, pictures)
    return list(task.calibration_batches(max(1, pictures // at_once), at_once, 'val'))


def _output(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(images)
