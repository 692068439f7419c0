# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Output tensors to detections or a classification."""

from __future__ import annotations

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
    unknown = [name for name in names if name not in classes]
    if unknown:
        missing = ', '.join(unknown)
        raise ValueError(f'class_filter: no class {missing}; there are {", ".join(classes)}')
    if not names:
        return None
    return np.array(sorted({classes.index(name) for name in names}), np.int64)


class Decoder:
    """Decodes a ladder's outputs under one set of options; stateless, so threads may share it."""

    def __init__(self, ladder: Ladder, options: PipelineOptions | None = None) -> None:
        """Fix the thresholds and the filter.

        Raises:
            ValueError: the options name an unknown class.
        """
        options = options or PipelineOptions()
        self.spec = ladder.decode
        self.classes = len(ladder.classes)
        self._wanted = class_positions(ladder.classes, options.class_filter)
        own = ladder.decode if isinstance(ladder.decode, BoxesScores) else None
        self.score_threshold = options.score_threshold
        self.iou_threshold = options.iou_threshold
        if own and self.score_threshold is None:
            self.score_threshold = own.score_threshold
        if own and self.iou_threshold is None:
            self.iou_threshold = own.iou_threshold

    def __call__(
        self,
        outputs: dict[str, np.ndarray],
        geometry: Geometry,
        *,
        score_threshold: float | None = None,
    ) -> Detections | Classification:
        """Decode one picture's outputs.

        Args:
            outputs: of the engine, by name.
            geometry: where the picture lies in the input.
            score_threshold: for this picture only.

        Raises:
            ValueError: the output is missing or has not the shape that the ladder promises.
        """
        tensor = outputs.get(self.spec.tensor)
        if tensor is None:
            raise ValueError(f'engine gave no "{self.spec.tensor}", only {", ".join(outputs)}')
        threshold = self.score_threshold if score_threshold is None else score_threshold
        if isinstance(self.spec, BoxesScores):
            return self._detections(self.spec, tensor, geometry, threshold or 0.0)
        return self._classification(self.spec, tensor, threshold or 0.0)

    def _detections(
        self, spec: BoxesScores, tensor: np.ndarray, geometry: Geometry, threshold: float
    ) -> Detections:
        rows = 4 + self.classes
        if tensor.ndim != 3 or tensor.shape[:2] != (1, rows):
            shape = tuple(tensor.shape)
            raise ValueError(f'"{spec.tensor}" has shape {shape}, must be (1, {rows}, n)')
        per_class = tensor[0, 4:]
        if self._wanted is not None:
            per_class = per_class[self._wanted]
        best = per_class.max(axis=0)
        keep = np.flatnonzero(best >= threshold)
        if len(keep) > MAX_CANDIDATES:
            top = np.argpartition(-best[keep], MAX_CANDIDATES - 1)[:MAX_CANDIDATES]
            keep = np.sort(keep[top])
        scores = best[keep].astype(np.float32)
        class_ids = per_class[:, keep].argmax(axis=0)
        if self._wanted is not None:
            class_ids = self._wanted[class_ids]
        boxes = _corners(tensor[0, :4][:, keep], spec)
        chosen = nms(
            boxes, scores, self.iou_threshold if self.iou_threshold is not None else 1.0,
            class_ids if spec.class_aware_nms else None, spec.max_detections,
        )
        boxes = geometry.to_image(boxes[chosen])
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # not in the padding
        chosen = chosen[inside]
        return Detections(boxes[inside], scores[chosen], class_ids[chosen].astype(np.int64))

    def _classification(
        self, spec: Logits, tensor: np.ndarray, threshold: float
    ) -> Classification:
        if tuple(tensor.shape) != (1, self.classes):
            shape = tuple(tensor.shape)
            raise ValueError(f'"{spec.tensor}" has shape {shape}, must be (1, {self.classes})')
        logits = tensor[0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        scores = (weights / weights.sum()).astype(np.float32)
        ids = np.arange(self.classes) if self._wanted is None else self._wanted
        ids = ids[np.argsort(-scores[ids], kind='stable')][:spec.top_k]
        ids = ids[scores[ids] >= threshold]
        return Classification(ids.astype(np.int64), scores[ids])


def _corners(boxes: np.ndarray, spec: BoxesScores) -> np.ndarray:
    """[4, n] in the ladder's format -> float32 [n, 4], x1 y1 x2 y2."""
    boxes = np.ascontiguousarray(boxes.T, np.float32)
    if spec.box_format == 'cxcywh':
        half = boxes[:, 2:] / 2
        boxes = np.hstack([boxes[:, :2] - half, boxes[:, :2] + half])
    return boxes
