# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection as a learning task."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uav_prune_perception.datasets.detection_set import DetectionSet
from uav_prune_perception.ladder import Accuracy, BoxesScores, InputSpec

from .augmentation import Augmentation
from .detection_accuracy import detection_accuracy, detections
from .detection_batches import Plan, drawn, made
from .detection_loss import (
    DetectionLossOptions,
    decoded_distillation_loss,
    detection_loss,
    distillation_loss,
)
from .detection_metrics import SIZE_LIMITS
from .own_loss import blaming, check_maps, own_decoded, own_loss
from .repeat_factor import repeat_factors, repeated
from .task import (
    Predict,
    TrainingError,
    calibration_pictures,
    normalised,
    numpy_generator,
    shuffled,
)
from .test_guard import TestReads

NOT_DISTILLED = (
    'has its own training_loss and no method decoded(output), so it cannot be distilled; set '
    'finetune.distil: false, or give it one (docs/own_model.md)'
)


class DetectionTask:
    """Learns boxes and classes; judged by mean average precision at overlap 0.5.

    Args:
        data: pictures and boxes. Those of val and test have the size of the deployed input;
            those of train have one size too, which may be smaller.
        augmentation: how training pictures are changed.
        loss_options: weights and assignment of the loss.
        teacher_weight: weight of the distillation loss where there is a teacher.
        size_limits: sides in pixels, of the input, of the squares that part small from medium
            and medium from large objects.
        mean: of each channel on the 0..1 scale; None: 0.5.
        std: likewise; None: 0.25.
        repeat_threshold: pictures with a class that is in less than this share of the training
            pictures are shown more often (`repeat_factor`); an epoch stays as long as it is.
    """

    kind: Literal['detection', 'classification'] = 'detection'

    def __init__(
        self,
        data: DetectionSet,
        augmentation: Augmentation | None = None,
        loss_options: DetectionLossOptions | None = None,
        teacher_weight: float = 1.0,
        size_limits: tuple[float, float] = SIZE_LIMITS,
        *,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        repeat_threshold: float = 0.0,
    ) -> None:
        self.data = data
        self.classes = data.classes
        self.augmentation = augmentation or Augmentation()
        self.loss_options = loss_options or DetectionLossOptions()
        self.teacher_weight = teacher_weight
        self.size_limits = size_limits
        self.repeat_threshold = repeat_threshold
        self.test_reads = TestReads()
        height, width, channels = data.split('val').images.shape[1:]
        self.input = InputSpec(
            width=width,
            height=height,
            color='gray' if channels == 1 else 'rgb',
            mean=mean or (0.5,) * channels,
            std=std or (0.25,) * channels,
        )
        self.decode = BoxesScores()

    @property
    def data_sha256(self) -> str:
        """Hex digest of all the data."""
        return self.data.sha256

    def example_input(self) -> Tensor:
        """The first validation picture, normalised: float32 [1, C, H, W]."""
        return normalised(self.data.split('val').images[:1], self.input).contiguous()

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of full batches (at least one)."""
        return max(1, len(self.data.split('train')) // batch_size)

    def train_batches(
        self, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of images float32 [B, C, H, W] and targets float32 [M, 6].

        A target is picture index, class (-1: ignore this region), corners in pixels.
        """
        return self._parts(batch_size, generator, 0, 1)

    def train_part(
        self, epoch: int, batch_size: int, generator: torch.Generator, rank: int, size: int
    ) -> Iterator[tuple[Tensor, Tensor]] | None:
        """`train_batches`, of each only the ``rank``-th of ``size`` equal parts, else None.

        Chance is thrown for the whole batch; the other parts' pictures are not made.
        """
        if min(batch_size, len(self.data.split('train'))) % size:
            return None
        return self._parts(batch_size, generator, rank, size)

    def _parts(
        self, batch_size: int, generator: torch.Generator, rank: int, size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        split = self.data.split('train')
        pool = np.arange(len(split))
        if self.repeat_threshold > 0:
            factors = repeat_factors(split.labels, len(self.classes), self.repeat_threshold)
            pool = repeated(factors, numpy_generator(generator))
        order = pool[shuffled(len(pool), generator)][:len(split)]
        rng = numpy_generator(generator)

        def plans() -> Iterator[list[Plan]]:
            for step in range(self.steps_per_epoch(batch_size)):
                chosen = order[step * batch_size:(step + 1) * batch_size]
                count = len(chosen) // size
                whole = drawn(split, chosen, pool, rng, self.augmentation)
                yield whole[rank * count:(rank + 1) * count]

        for images, targets in made(split, plans(), self.input.pad_value):
            yield normalised(images, self.input), torch.from_numpy(targets)

    def loss(
        self, model: nn.Module, images: Tensor, targets: Tensor, teacher: nn.Module | None = None
    ) -> Tensor:
        """Detection loss of a model in training mode, plus distillation from a teacher.

        A model with a method ``training_loss(output, targets)`` brings its own: a scalar from
        what it gives in training mode and from targets as `train_batches` yields them. To be
        distilled it needs a method ``decoded(output)`` too: what it gives in evaluation mode
        of what it gives in training mode.

        Raises:
            TrainingError: a teacher for a model with a loss of its own that has no ``decoded``, or
            what the model's own methods give is of no use.
        """
        with blaming(f'{type(model).__name__}, in training'):
            raw = model(images)
        if not callable(getattr(model, 'training_loss', None)):
            check_maps(model, raw)
            return self._our_loss(raw, images, targets, teacher)
        loss = own_loss(model, raw, targets)
        if teacher is None:
            return loss
        if not callable(getattr(model, 'decoded', None)):
            raise TrainingError(f'{type(model).__name__} {NOT_DISTILLED}')
        with torch.no_grad():
            wanted = teacher(images)
        found = own_decoded(model, raw, wanted)
        extra = decoded_distillation_loss(found, wanted, self.loss_options.box_weight)
        return loss + self.teacher_weight * extra

    def _our_loss(
        self, raw: list[Tensor], images: Tensor, targets: Tensor, teacher: nn.Module | None
    ) -> Tensor:
        width = images.shape[3]
        loss = detection_loss(raw, targets, width, self.loss_options, len(self.classes))
        if teacher is None:
            return loss
        with torch.no_grad():
            wanted = teacher(images)
        extra = distillation_loss(raw, wanted, width, self.loss_options.box_weight)
        return loss + self.teacher_weight * extra

    def evaluate(self, predict: Predict, split: str = 'val', batch_size: int = 1) -> Accuracy:
        """mAP50 with the average precision of every class that occurs, and further figures.

        ``figures`` holds mAP50-95, mAP50 and mAP50-95 of small, medium and large objects where
        there are any, and precision and recall at the deployed threshold (overlap 0.5).

        Raises:
            TrainingError: ``split`` is test, and `test_reads` allows no more.
        """
        self.test_reads.note(split)
        data = self.data.split(split)
        found = detections(predict, data, self.input, self.decode, batch_size)
        return detection_accuracy(found, data, split, self.classes, self.size_limits)

    def calibration_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[Tensor]:
        """``n`` batches of pictures as they are, of all flights; never of test."""
        TestReads.refuse(split, 'calibration')
        images = self.data.split(split).images
        for _, pictures in calibration_pictures(images, self.input, n, batch_size):
            yield pictures

    def labelled_batches(
        self, n: int, batch_size: int = 16, split: str = 'train'
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures as they are with their targets, float32 [M, 6]: classes in turn, rarest first.

        A few of them thus hold every class that the split has; never of test.
        """
        TestReads.refuse(split, 'calibration')
        data = self.data.split(split)
        order = classes_in_turn(data.labels, len(self.classes))
        for step in range(n):
            chosen = order[np.arange(step * batch_size, (step + 1) * batch_size) % len(order)]
            rows = []
            for slot, index in enumerate(chosen):
                row = np.empty((len(data.labels[index]), 6), np.float32)
                row[:, 0], row[:, 1], row[:, 2:] = slot, data.labels[index], data.boxes[index]
                rows.append(row)
            yield normalised(data.images[chosen], self.input), torch.from_numpy(
                np.concatenate(rows)
            )

    def with_decode(self, **changes: object) -> DetectionTask:
        """The same task with other deployment thresholds (see `BoxesScores`)."""
        other = copy.copy(self)
        other.decode = dataclasses.replace(self.decode, **changes)  # type: ignore[arg-type]
        return other


def classes_in_turn(labels: list[NDArray[np.int64]], classes: int) -> NDArray[np.int64]:
    """Every picture once: one with the rarest class, one with the next, ..., and round again."""
    waiting = [
        iter([index for index, own in enumerate(labels) if label in own])
        for label in range(classes)
    ]
    counts = [sum(label in own for own in labels) for label in range(classes)]
    order: dict[int, None] = {}
    turns = [waiting[label] for label in np.argsort(counts, kind='stable')]
    while turns:
        for queue in tuple(turns):
            found = next((index for index in queue if index not in order), None)
            if found is None:
                turns.remove(queue)
            else:
                order[found] = None
    return np.array([*order, *(i for i in range(len(labels)) if i not in order)], np.int64)
