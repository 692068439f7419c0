# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a report shows of an evaluation beside its figure: who is taken for whom, and the price.

Everything comes from the answers that the accuracy was computed from: test is not read again.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.training.detection_decode import found_objects
from uav_prune_perception.training.detection_metrics import Detections, covered, matched
from uav_prune_perception.training.task import LearningTask, Predict

OVERLAP = 0.5
RECALLS = np.linspace(0.0, 1.0, 21)
MOST_CLASSES = 40  # a larger matrix is no picture, and a ladder is no place for it


class Details(TypedDict, total=False):
    """Of one level on one split.

    ``confusion[real][said]`` counts; for detection the last row and column are the background,
    at the score threshold that flies. ``curves[class]`` is the best precision at the recalls
    0, 0.05 .. 1. ``remarks`` are lines on what is odd (`plausibility`).
    """

    confusion: list[list[int]]
    curves: dict[str, list[float]]
    remarks: list[str]


class Witness:
    """An engine for `LearningTask.evaluate` that remembers its answers in short.

    Args:
        predict: the engine.
        kind: of the task.
    """

    def __init__(self, predict: Predict, kind: str) -> None:
        self._predict, self._kind = predict, kind
        self.answers: list[Any] = []

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The engine's answer."""
        outputs = self._predict(images)
        if self._kind == 'detection':
            self.answers += [found_objects(output) for output in outputs]
        else:
            self.answers += outputs.argmax(axis=1).tolist()
        return outputs


def details(task: LearningTask, split: str, answers: list[Any]) -> Details:
    """What the answers to a split say; nothing for a task that does not tell its data."""
    data: Any = getattr(task, 'data', None)
    if data is None or not hasattr(data, 'split'):
        return {}
    own = data.split(split)
    if len(own) != len(answers):
        return {}
    if task.kind == 'classification':
        return classification_details(own.labels, np.array(answers), len(task.classes))
    threshold = float(getattr(task.decode, 'score_threshold', 0.25))
    real = list(zip(own.boxes, own.labels, own.ignore, strict=True))
    return detection_details(answers, real, task.classes, threshold)


def classification_details(
    real: NDArray[np.int64], said: NDArray[np.int64], classes: int
) -> Details:
    """The confusion matrix."""
    if classes > MOST_CLASSES:
        return {}
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (real, said), 1)
    return {'confusion': matrix.tolist()}


def detection_details(
    found: list[Detections], real: list[tuple[Any, Any, Any]], classes: tuple[str, ...],
    threshold: float,
) -> Details:
    """Confusion at a score threshold, and precision at each recall, at an overlap of 0.5.

    Args:
        found: of each picture.
        real: boxes [n, 4], labels [n], regions to ignore [m, 4] of each picture.
        classes: their names.
        threshold: on scores, for the confusion.
    """
    if len(classes) > MOST_CLASSES:
        return {}
    matrix = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    hits: list[list[tuple[float, bool]]] = [[] for _ in classes]
    total = np.zeros(len(classes), np.int64)
    for one, (boxes, labels, ignore) in zip(found, real, strict=True):
        np.add.at(total, labels, 1)
        for label in range(len(classes)):
            own = np.flatnonzero(one.labels == label)
            own = own[np.argsort(-one.scores[own], kind='stable')]
            pairs = matched(one.boxes[own], boxes[labels == label], OVERLAP)
            left_out = covered(one.boxes[own], ignore)
            hits[label] += [
                (float(score), index in pairs) for index, score in enumerate(one.scores[own])
                if index in pairs or not left_out[index]
            ]
        _confuse(matrix, one, (boxes, labels, ignore), threshold)
    curves = {
        name: _precision(hits[label], int(total[label]))
        for label, name in enumerate(classes) if total[label]
    }
    return {'confusion': matrix.tolist(), 'curves': curves}


def _confuse(
    matrix: NDArray[np.int64], found: Detections, real: tuple[Any, Any, Any], threshold: float
) -> None:
    boxes, labels, ignore = real
    seen = np.argsort(-found.scores, kind='stable')[:int((found.scores >= threshold).sum())]
    pairs = matched(found.boxes[seen], boxes, OVERLAP)
    left_out = covered(found.boxes[seen], ignore)
    background = len(matrix) - 1
    for index, label in enumerate(found.labels[seen]):
        if index in pairs:
            matrix[labels[pairs[index]], label] += 1
        elif not left_out[index]:
            matrix[background, label] += 1
    for index in set(range(len(boxes))) - set(pairs.values()):
        matrix[labels[index], background] += 1


def _precision(hits: list[tuple[float, bool]], total: int) -> list[float]:
    ordered = np.array([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])], bool)
    if len(ordered) == 0:
        return [0.0] * len(RECALLS)
    true = np.cumsum(ordered)
    precision = true / np.arange(1, len(ordered) + 1)
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    where = np.searchsorted(true / total, RECALLS - 1e-12, side='left')
    return [round(float(value), 4) for value in precision[where]]
