# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The channel-attention probe: squeeze-and-excitation behind deep layers, trained, then removed.

Only the probe learns; the network keeps its weights and its BatchNorm statistics. Source: Hu et
al. 2018 for the module; that it serves DAAR as a probe is our reconstruction.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.methods.feature_maps import Tap, watching
from uav_prune_perception.training.task import LearningTask, TrainingError

from .attention_scores import pooled


class SqueezeExcitation(nn.Module):
    """gate = sigmoid(W2 relu(W1 z)), z the channel means over the layer's mean size.

    The last bias starts at 2, so that the gates start at 0.88 and the frozen network near itself.

    Args:
        channels: of the layer.
        reduction: hidden width is channels / reduction, at least 4.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        nn.init.zeros_(self.squeeze.bias)
        nn.init.normal_(self.excite.weight, std=0.01)
        nn.init.constant_(self.excite.bias, 2.0)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, ...] -> gates [B, C], the same for features of any scale."""
        means = pooled(features)
        size = means.abs().mean(dim=1, keepdim=True).clamp_min(1e-12)
        gates: Tensor = self.excite(self.squeeze(means / size).relu()).sigmoid()
        return gates


class ChannelProbe:
    """Gates of some layers of a network.

    Args:
        model: the network, which stays as it is.
        taps: the layers.
        widths: channels of each, by weight name.
        reduction: see `SqueezeExcitation`.
        seed: of the initial weights and the order of pictures.
    """

    def __init__(
        self,
        model: nn.Module,
        taps: Iterable[Tap],
        widths: dict[str, int],
        reduction: int = 16,
        seed: int = 0,
    ) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.taps, self.seed = list(taps), seed
        self.device = next(self.model.parameters()).device
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.gates = {
                tap.weight: SqueezeExcitation(widths[tap.weight], reduction).to(self.device)
                for tap in self.taps
            }

    def train(
        self, task: LearningTask, epochs: float = 5.0, batch_size: int = 64, lr: float = 0.01
    ) -> float:
        """Train the gates (SGD, momentum 0.9).

        Returns:
            Mean loss of the last tenth of the steps.

        Raises:
            TrainingError: the loss is not finite.
        """
        steps = max(1, round(epochs * task.steps_per_epoch(batch_size)))
        parameters = [p for gate in self.gates.values() for p in gate.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True)
        losses: list[float] = []
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        with torch.random.fork_rng(), watching(self.model, self.taps, self._gate):
            torch.manual_seed(self.seed)
            for images, targets in itertools.islice(self._batches(task, batch_size), steps):
                optimizer.zero_grad(set_to_none=True)
                loss = task.loss(self.model, images.to(self.device), targets.to(self.device))
                if not bool(torch.isfinite(loss)):
                    raise TrainingError(
                        f'loss of the channel probe became {float(loss)}; lower its lr ({lr:g})'
                    )
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
        tail = losses[-max(1, len(losses) // 10):]
        return sum(tail) / len(tail)

    def _gate(self, tap: Tap, features: Tensor) -> Tensor:
        gates: Tensor = self.gates[tap.weight](features)
        return gates

    def _batches(self, task: LearningTask, batch_size: int) -> Iterator[tuple[Tensor, Any]]:
        for epoch in itertools.count():
            generator = torch.Generator().manual_seed(self.seed * 1009 + epoch)
            yield from task.train_batches(epoch, batch_size, generator)
