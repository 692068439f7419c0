# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Output tensors to detections or a classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ladder import BoxesScores, Ladder, Logits
from .nms import nms
from .options import PipelineOptions
from .preprocess import Geometry
from .results import Classification, Detections

# At most this many candidates, the best ones, go into NMS: a threshold set far too low on a
# crowded picture then costs milliseconds, not seconds.
MAX_CANDIDATES = 2000


def class_positions(classes: tuple[str, ...], names: tuple[str, ...]) -> np.ndarray | None:
    """Ids of ``names``, sorted; None (all) when there are no names.

    Raises:
        ValueError: a name that is not among ``classes``.
    """
    _check_known(classes, names, 'class_filter')
    if not names:
        return None
    return np.array(sorted({classes.index(name) for name in names}), np.int64)


def _check_known(classes: tuple[str, ...], names: tuple[str, ...], option: str) -> None:
    unknown = [name for name in names if name not in classes]
    if unknown:
        missing = ', '.join(unknown)
        raise ValueError(f'{option}: no class {missing}; there are {", ".join(classes)}')


class Decoder:
    """Decodes a ladder's outputs under one set of options; stateless, so threads may share it.

    A candidate counts as the class that has its best score among those that reach their
    threshold; candidates without such a class go. Then boxes compete (`nms`).

    Attributes:
        iou_threshold: of the suppression in force, likewise ``class_aware`` and
            ``max_detections``.
    """

    def __init__(self, ladder: Ladder, options: PipelineOptions | None = None) -> None:
        """Fix the thresholds and the filter.

        Raises:
            ValueError: the options name an unknown class, or ask a classifier for tiles.
        """
        options = options or PipelineOptions()
        self.spec = spec = ladder.decode
        self.classes = len(ladder.classes)
        self._wanted = class_positions(ladder.classes, options.class_filter)
        self._thresholds = thresholds(ladder, options)
        reported = self._thresholds if self._wanted is None else self._thresholds[self._wanted]
        self._lowest = float(reported.min())
        self._by_class = reported[:, None] if reported.max() > reported.min() else None
        if options.tiling is not None and not isinstance(spec, BoxesScores):
            raise ValueError('tiling: only a detector can look at tiles, this is a classifier')
        own = spec if isinstance(spec, BoxesScores) else BoxesScores()
        self.iou_threshold = _given(options.iou_threshold, own.iou_threshold)
        self.class_aware = _given(options.class_aware_nms, own.class_aware_nms)
        self.max_detections = _given(options.max_detections, own.max_detections)

    def __call__(
        self, outputs: dict[str, np.ndarray], geometry: Geometry
    ) -> Detections | Classification:
        """Decode one picture's outputs.

        Args:
            outputs: of the engine, by name.
            geometry: where the picture lies in the input.

        Raises:
            ValueError: the output is missing or has not the shape that the ladder promises.
        """
        tensor = outputs.get(self.spec.tensor)
        if tensor is None:
            raise ValueError(f'engine gave no "{self.spec.tensor}", only {", ".join(outputs)}')
        if isinstance(self.spec, BoxesScores):
            return self._detections(self.spec, tensor, geometry)
        return self._classification(self.spec, tensor)

    def _detections(
        self, spec: BoxesScores, tensor: np.ndarray, geometry: Geometry
    ) -> Detections:
        rows = 4 + self.classes
        if tensor.ndim != 3 or tensor.shape[:2] != (1, rows):
            shape = tuple(tensor.shape)
            raise ValueError(f'"{spec.tensor}" has shape {shape}, must be (1, {rows}, n)')
        keep, scores, class_ids = self._candidates(tensor[0, 4:])
        boxes = _corners(tensor[0, :4][:, keep], spec)
        chosen = nms(
            boxes, scores, self.iou_threshold, class_ids if self.class_aware else None,
            self.max_detections,
        )
        boxes = geometry.to_image(boxes[chosen])
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # not in the padding
        chosen = chosen[inside]
        return Detections(boxes[inside], scores[chosen], class_ids[chosen].astype(np.int64))

    def _candidates(self, per_class: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[classes, n] -> positions, float32 scores and classes of what reaches a threshold."""
        if self._wanted is not None:
            per_class = per_class[self._wanted]
        best = per_class.max(axis=0)
        keep = np.flatnonzero(best >= self._lowest)
        if self._by_class is not None:
            best = self._reaching(per_class[:, keep]).max(axis=0, initial=-1.0)
            keep = keep[best >= 0]
            best = best[best >= 0]
        else:
            best = best[keep]
        if len(keep) > MAX_CANDIDATES:
            top = np.sort(np.argpartition(-best, MAX_CANDIDATES - 1)[:MAX_CANDIDATES])
            keep, best = keep[top], best[top]
        class_ids = self._reaching(per_class[:, keep]).argmax(axis=0)
        if self._wanted is not None:
            class_ids = self._wanted[class_ids]
        return keep, best.astype(np.float32), class_ids

    def _reaching(self, per_class: np.ndarray) -> np.ndarray:
        """Scores that reach the threshold of their class, -1 for the others."""
        if self._by_class is None:
            return per_class
        return np.where(per_class >= self._by_class, per_class, np.float32(-1.0))

    def _classification(self, spec: Logits, tensor: np.ndarray) -> Classification:
        if tuple(tensor.shape) != (1, self.classes):
            shape = tuple(tensor.shape)
            raise ValueError(f'"{spec.tensor}" has shape {shape}, must be (1, {self.classes})')
        logits = tensor[0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        scores = (weights / weights.sum()).astype(np.float32)
        ids = np.arange(self.classes) if self._wanted is None else self._wanted
        ids = ids[np.argsort(-scores[ids], kind='stable')][:spec.top_k]
        ids = ids[scores[ids] >= self._thresholds[ids]]
        return Classification(ids.astype(np.int64), scores[ids])


def thresholds(ladder: Ladder, options: PipelineOptions) -> np.ndarray:
    """The score threshold of every class, float32 [classes].

    Its own in the options, else the one for all in the options, else its own in the ladder, else
    the ladder's for all (0 for a classifier).

    Raises:
        ValueError: the options name an unknown class.
    """
    own = ladder.decode if isinstance(ladder.decode, BoxesScores) else None
    overall, by_class = options.score_threshold, dict(options.class_thresholds)
    if overall is None:
        overall = own.score_threshold if own else 0.0
        by_class = {**((own.class_thresholds if own else None) or {}), **by_class}
    _check_known(ladder.classes, tuple(by_class), 'class_thresholds')
    return np.array([by_class.get(name, overall) for name in ladder.classes], np.float32)


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _corners(boxes: np.ndarray, spec: BoxesScores) -> np.ndarray:
    """[4, n] in the ladder's format -> float32 [n, 4], x1 y1 x2 y2."""
    boxes = np.ascontiguousarray(boxes.T, np.float32)
    if spec.box_format == 'cxcywh':
        half = boxes[:, 2:] / 2
        boxes = np.hstack([boxes[:, :2] - half, boxes[:, :2] + half])
    return boxes
