# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a learning task is: data, loss and accuracy behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uav_prune_perception.ladder import Accuracy, DecodeSpec, InputSpec

if TYPE_CHECKING:
    from .test_guard import TestReads

# Any engine: float32 [B, C, H, W] in, the network's evaluation output out.
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class TrainingError(RuntimeError):
    """Training cannot go on. One line, ready to print."""


class LearningTask(Protocol):
    """Everything that pruning and training need to know about a task."""

    @property
    def kind(self) -> Literal['detection', 'classification']:
        """'detection' or 'classification'."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the outputs."""
        ...

    @property
    def input(self) -> InputSpec:
        """The input tensor."""
        ...

    @property
    def decode(self) -> DecodeSpec:
        """How the output is read."""
        ...

    @property
    def data_sha256(self) -> str:
        """Hex digest of all the data that the task is made of."""
        ...

    @property
    def test_reads(self) -> TestReads:
        """Readings of the test split so far, and how many there may be."""
        ...

    def example_input(self) -> Tensor:
        """One normalised picture: float32 [1, C, H, W]."""
        ...

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of batches of one epoch."""
        ...

    def train_batches(
        self, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Any]]:
        """Shuffled, augmented, normalised batches; all chance comes from ``generator``.

        Yields:
            images float32 [B, C, H, W] and targets as `loss` takes them.
        """
        ...

    def loss(
        self, model: nn.Module, images: Tensor, targets: Any, teacher: nn.Module | None = None
    ) -> Tensor:
        """Scalar loss of a model in training mode; ``teacher`` (in evaluation mode) distils."""
        ...

    def evaluate(self, predict: Predict, split: str = 'val', batch_size: int = 1) -> Accuracy:
        """Accuracy of any engine on a split.

        Args:
            predict: the engine, torch or ONNX Runtime.
            split: 'val' for selection; 'test' once, for the final model.
            batch_size: what the engine takes (an exported level takes 1).
        """
        ...

    def calibration_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[Tensor]:
        """``n`` batches of pictures, not augmented: float32 [B, C, H, W]."""
        ...

    def labelled_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[tuple[Tensor, Any]]:
        """The same pictures with their targets, as `train_batches` has them."""
        ...


def torch_predict(model: nn.Module) -> Predict:
    """A torch model (put into evaluation mode) as an engine, for `LearningTask.evaluate`."""
    model.eval()
    device = next(model.parameters()).device

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return model(torch.from_numpy(images).to(device)).cpu().numpy()

    return predict


def normalised(images: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, C, H, W], (pixel / 255 - mean) / std."""
    # Torch warns of memory that it must not write, such as a mapped file's, and never does
    planes = torch.from_numpy(np.require(images, requirements=('C', 'W'))).permute(0, 3, 1, 2)
    return normalised_planes(planes, spec)


def normalised_planes(images: Tensor, spec: InputSpec) -> Tensor:
    """uint8 [B, C, H, W] -> float32 of the same shape and device, (pixel / 255 - mean) / std."""
    # Channels-last in memory is also the faster layout for convolutions on a CPU
    tensor = images.to(torch.float32, memory_format=torch.channels_last)
    mean = torch.tensor(spec.mean, device=images.device).view(1, -1, 1, 1) * 255.0
    std = torch.tensor(spec.std, device=images.device).view(1, -1, 1, 1) * 255.0
    return tensor.sub_(mean).div_(std)


def calibration_pictures(
    images: NDArray[np.uint8], spec: InputSpec, n: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches spread over all of a split, always the same.

    In the order of the files the first ones may be of one class or one flight, and statistics
    made of them fit no other.

    Args:
        images: uint8 [N, H, W, C].
        spec: how they are normalised.
        n: of batches; pictures come again where there are too few.
        batch_size: of each.

    Returns:
        Indices int64 [B], and their pictures float32 [B, C, H, W].
    """
    order = np.random.default_rng(0).permutation(len(images))
    for step in range(n):
        chosen = order[np.arange(step * batch_size, (step + 1) * batch_size) % len(images)]
        yield chosen, normalised(images[chosen], spec)


def shuffled(count: int, generator: torch.Generator) -> NDArray[np.int64]:
    """A random order of ``count`` items."""
    return torch.randperm(count, generator=generator).numpy()


def numpy_generator(generator: torch.Generator) -> np.random.Generator:
    """A NumPy generator seeded from a torch one, which moves on."""
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
