# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training run is asked for and what it tells: plain dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FitOptions:
    """Settings of one training run.

    Attributes:
        epochs: passes over the training pictures.
        batch_size: pictures in a step.
        lr: peak learning rate; rises linearly, then falls along a cosine to ``final_lr * lr``.
        weight_decay: on weights of convolutions and linear layers, not on norms and biases.
        warmup_epochs: length of the rise, may be a fraction.
        optimizer: 'adamw' or 'sgd' (Nesterov momentum 0.9).
        ema: end with the exponential moving average of the weights.
        ema_decay: of that average; starts lower and rises to this.
        clip_norm: largest gradient norm; 0 switches clipping off.
        seed: decides order and augmentation. Initial weights are the caller's.
        threads: torch threads during the run; None leaves them.
        final_lr: see ``lr``.
        evaluate_every: accuracy on val after every so many epochs; 0 is never.
        device: 'cpu', 'cuda', ...
        amp: forward passes in bfloat16 where that is safe; for GPUs.
        keep_best: end with the weights of the epoch that was best on val (of those evaluated).
    """

    epochs: int = 14
    batch_size: int = 16
    lr: float = 3e-3
    weight_decay: float = 0.02
    warmup_epochs: float = 1.0
    optimizer: Literal['adamw', 'sgd'] = 'adamw'
    ema: bool = True
    ema_decay: float = 0.99
    clip_norm: float = 10.0
    seed: int = 0
    threads: int | None = None
    final_lr: float = 0.02
    evaluate_every: int = 0
    device: str = 'cpu'
    amp: bool = False
    keep_best: bool = False


@dataclass(frozen=True)
class FitProgress:
    """Where a run is, after a step. ``loss`` is the mean of the epoch so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    elapsed_s: float

    @property
    def fraction(self) -> float:
        """Part of the whole run that is done, 0..1."""
        return (self.epoch * self.steps + self.step) / max(1, self.epochs * self.steps)


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch: mean loss, learning rate at its end, seconds, accuracy where asked."""

    epoch: int
    loss: float
    lr: float
    seconds: float
    accuracy: float | None = None
