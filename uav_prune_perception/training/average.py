# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average of parameters and buffers; young averages forget faster.

    Args:
        model: whose weights are followed.
        decay: share of the old average kept at each step, once warmed up.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.values = {key: value.detach().clone() for key, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one step."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.values[key].lerp_(value, 1 - keep)
            else:
                self.values[key].copy_(value)

    def copy_to(self, model: nn.Module) -> None:
        """Replace the model's weights by the average."""
        model.load_state_dict(self.values)

    def state_dict(self) -> dict[str, Tensor | int]:
        """For a checkpoint."""
        return {'steps': self.steps, **{f'value.{k}': v for k, v in self.values.items()}}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """From a checkpoint."""
        self.steps = int(state['steps'])
        for key, value in self.values.items():
            saved = state[f'value.{key}']
            assert isinstance(saved, Tensor)
            value.copy_(saved)
