# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What was found, drawn into the picture, for people."""

from __future__ import annotations

import cv2
import numpy as np

from .results import Result

FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(result: Result, classes: tuple[str, ...]) -> np.ndarray:
    """A new picture, BGR uint8 [H, W, 3]; the frame stays as it is."""
    picture = _as_bgr(result)
    scale = max(picture.shape[:2]) / 1000.0
    thickness = max(1, round(2 * scale))
    lines = [f'level {result.level}  {result.timings.total:.1f} ms']
    if result.detections is not None:
        found = result.detections
        for box, score, index in zip(found.boxes, found.scores, found.class_ids, strict=True):
            color = class_color(int(index))
            x1, y1, x2, y2 = (round(float(v)) for v in box)
            cv2.rectangle(picture, (x1, y1), (x2, y2), color, thickness)
            _text(picture, f'{classes[index]} {score:.2f}', (x1, y1 - 4), scale, color)
    if result.classification is not None:
        best = result.classification
        ranked = zip(best.class_ids, best.scores, strict=True)
        lines += [f'{classes[index]} {score:.2f}' for index, score in ranked]
    for row, line in enumerate(lines, start=1):
        _text(picture, line, (8, round(row * max(14, 28 * scale))), scale, (255, 255, 255))
    return picture


def class_color(index: int) -> tuple[int, int, int]:
    """A colour (BGR) that neighbouring classes do not share."""
    hue = np.array([[[index * 47 % 180, 200, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def _as_bgr(result: Result) -> np.ndarray:
    image, color = result.frame.image, result.frame.color
    if color == 'gray':
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR)
    if color == 'rgb':
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    return image.copy()


def _text(
    picture: np.ndarray, text: str, at: tuple[int, int], scale: float,
    color: tuple[int, int, int],
) -> None:
    size = max(0.4, 0.8 * scale)
    x, y = at[0], max(12, at[1])
    cv2.putText(picture, text, (x, y), FONT, size, (0, 0, 0), max(2, round(3 * scale)))
    cv2.putText(picture, text, (x, y), FONT, size, color, 1)
