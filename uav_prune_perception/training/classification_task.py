# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Classification as a learning task."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from uav_prune_perception.datasets.classification_set import ClassificationSet
from uav_prune_perception.datasets.decoding import decoding_threads
from uav_prune_perception.ladder import Accuracy, InputSpec, Logits

from .ahead import ahead
from .augmentation import Augmentation, Change, apply_change, draw_change
from .crop_flip import CropFlip, crop_flip
from .task import (
    Predict,
    calibration_pictures,
    normalised,
    normalised_planes,
    numpy_generator,
    shuffled,
)
from .test_guard import TestReads

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ClassificationTask:
    """Learns one label for a picture; judged by top-1 accuracy.

    Args:
        data: pictures and labels, all of one size.
        augmentation: how training pictures are changed: `CropFlip` (whole batches, fast), or
            `Augmentation` (stronger, picture by picture).
        mean: per channel, on the 0..1 scale; ImageNet's by default (0.5 for grey).
        std: likewise.
        label_smoothing: share of the label spread over all classes.
        teacher_weight: weight of the distillation loss where there is a teacher.
        temperature: of the distillation.
    """

    kind: Literal['detection', 'classification'] = 'classification'

    def __init__(
        self,
        data: ClassificationSet,
        augmentation: Augmentation | CropFlip | None = None,
        *,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        label_smoothing: float = 0.0,
        teacher_weight: float = 1.0,
        temperature: float = 4.0,
    ) -> None:
        self.data = data
        self.classes = data.classes
        self.augmentation = augmentation or Augmentation()
        self.label_smoothing = label_smoothing
        self.teacher_weight = teacher_weight
        self.temperature = temperature
        self.test_reads = TestReads()
        self._resident: dict[str, tuple[Tensor, Tensor]] = {}
        self._sha256: str | None = None
        height, width, channels = data.split('train').images.shape[1:]
        grey = channels == 1
        self.input = InputSpec(
            width=width,
            height=height,
            color='gray' if grey else 'rgb',
            mean=mean or ((0.5,) if grey else IMAGENET_MEAN),
            std=std or ((0.25,) if grey else IMAGENET_STD),
            resize='stretch',
        )
        self.decode = Logits(top_k=min(5, len(self.classes)))

    @property
    def data_sha256(self) -> str:
        """Hex digest of all the data."""
        if self._sha256 is None:
            self._sha256 = self.data.sha256
        return self._sha256

    def example_input(self) -> Tensor:
        """The first validation picture, normalised: float32 [1, C, H, W]."""
        return normalised(self.data.split('val').images[:1], self.input).contiguous()

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of full batches (at least one)."""
        return max(1, len(self.data.split('train')) // batch_size)

    def train_batches(
        self, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of images float32 [B, C, H, W] and labels int64 [B]."""
        split, options = self.data.split('train'), self.augmentation
        order = shuffled(len(split), generator)
        if isinstance(options, CropFlip):
            yield from self._fast_batches(order, batch_size, options, generator)
            return
        yield from self._affine_batches(order, batch_size, options, generator)

    def hold(self, device: str) -> None:
        """Keep the training pictures on a device from now on, so that batches are made there.

        Pictures that are decoded on demand stay where they are.
        """
        self._resident.clear()
        split = self.data.split('train')
        if isinstance(split.images, np.ndarray):
            labels = torch.from_numpy(split.labels).to(device)
            self._resident['train'] = (torch.from_numpy(split.images).to(device), labels)

    def train_part(
        self, epoch: int, batch_size: int, generator: torch.Generator, rank: int, size: int
    ) -> Iterator[tuple[Tensor, Tensor]] | None:
        """`train_batches`, of each only the ``rank``-th of ``size`` equal parts.

        Without making the others; None where there are no equal parts.
        """
        split, options = self.data.split('train'), self.augmentation
        batch = min(batch_size, len(split))
        if batch % size:
            return None
        count = batch // size
        part = slice(rank * count, (rank + 1) * count)
        order = shuffled(len(split), generator)
        if isinstance(options, CropFlip):
            return self._fast_batches(order, batch_size, options, generator, part)
        return self._affine_batches(order, batch_size, options, generator, part)

    def _affine_batches(
        self,
        order: NDArray[np.int64],
        batch_size: int,
        options: Augmentation,
        generator: torch.Generator,
        part: slice = slice(None),
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Chance is thrown for whole batches; only the part's pictures are made, by threads."""
        split = self.data.split('train')
        rng = numpy_generator(generator)
        none = np.zeros((0, 4), np.float32)
        height, width = split.images.shape[1:3]

        def some(plans: list[tuple[int, Change]]) -> list[NDArray[np.uint8]]:
            return [apply_change(split.images[i], none, change, 0)[0] for i, change in plans]

        def batches() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
            count = decoding_threads()
            with ThreadPoolExecutor(count, 'augmentation') as threads:
                for step in range(self.steps_per_epoch(batch_size)):
                    chosen = order[step * batch_size:(step + 1) * batch_size]
                    plans = [(int(i), draw_change(width, height, rng, options)) for i in chosen]
                    plans, size = plans[part], -(-len(plans[part]) // count)
                    pieces = [plans[i:i + size] for i in range(0, len(plans), size)]
                    images = itertools.chain.from_iterable(threads.map(some, pieces))
                    yield np.stack([*images]), split.labels[chosen[part]]

        for images, labels in ahead(batches()):
            yield normalised(images, self.input), torch.from_numpy(labels)

    def _fast_batches(
        self,
        order: NDArray[np.int64],
        batch_size: int,
        options: CropFlip,
        generator: torch.Generator,
        part: slice = slice(None),
    ) -> Iterator[tuple[Tensor, Tensor]]:
        split = self.data.split('train')
        if not self._resident:
            self.hold('cpu')
        batches = [
            order[step * batch_size:(step + 1) * batch_size]
            for step in range(self.steps_per_epoch(batch_size))
        ]
        resident = self._resident.get('train')
        pictures: Iterator[tuple[Tensor, Tensor]]
        if resident is not None:
            indices = (torch.from_numpy(batch[part]).to(resident[0].device) for batch in batches)
            pictures = ((resident[0][index], resident[1][index]) for index in indices)
        else:  # the next batches are decoded while this one is learnt
            pictures = ahead(
                (torch.from_numpy(split.images[batch[part]]),
                 torch.from_numpy(split.labels[batch[part]]))
                for batch in batches
            )
        for batch, (images, targets) in zip(batches, pictures, strict=True):
            changed = crop_flip(images, options, generator, part, len(batch))
            yield normalised_planes(changed, self.input), targets

    def loss(
        self, model: nn.Module, images: Tensor, targets: Tensor, teacher: nn.Module | None = None
    ) -> Tensor:
        """Cross entropy, plus the divergence from a teacher (Hinton et al. 2015)."""
        logits = model(images)
        loss = functional.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        if teacher is None:
            return loss
        with torch.no_grad():
            wanted = functional.log_softmax(teacher(images) / self.temperature, dim=1)
        own = functional.log_softmax(logits / self.temperature, dim=1)
        extra = functional.kl_div(own, wanted, reduction='batchmean', log_target=True)
        return loss + self.teacher_weight * extra * self.temperature**2

    def evaluate(self, predict: Predict, split: str = 'val', batch_size: int = 1) -> Accuracy:
        """Top-1 accuracy, also of every class (recall).

        Raises:
            TrainingError: ``split`` is test, and `test_reads` allows no more.
        """
        self.test_reads.note(split)
        data = self.data.split(split)
        found = np.concatenate(
            [
                predict(
                    normalised(data.images[i:i + batch_size], self.input).contiguous().numpy()
                ).argmax(axis=1)
                for i in range(0, len(data), batch_size)
            ]
        )
        hit = found == data.labels
        return Accuracy(
            metric='top1',
            value=float(hit.mean()),
            split=split,
            n=len(data),
            per_class={
                name: float(hit[data.labels == label].mean())
                for label, name in enumerate(self.classes)
                if (data.labels == label).any()
            },
        )

    def calibration_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[Tensor]:
        """``n`` batches of pictures as they are, spread over all classes; never of test."""
        TestReads.refuse(split, 'calibration')
        images = self.data.split(split).images
        for _, pictures in calibration_pictures(images, self.input, n, batch_size):
            yield pictures

    def labelled_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The pictures of `calibration_batches` with their labels int64 [B]."""
        TestReads.refuse(split, 'calibration')
        data = self.data.split(split)
        for chosen, pictures in calibration_pictures(data.images, self.input, n, batch_size):
            yield pictures, torch.from_numpy(data.labels[chosen])
