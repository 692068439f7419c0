# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections against the camera's ground truth: counting, and drawing for the report."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from vision_msgs.msg import Detection2DArray

from uav_prune_perception.onboard.nms import iou

from .camera import CameraFrame


def boxes_of(message: Detection2DArray) -> np.ndarray:
    """float32 [n, 4] xyxy in image pixels."""
    rows = [
        (
            d.bbox.center.position.x - d.bbox.size_x / 2,
            d.bbox.center.position.y - d.bbox.size_y / 2,
            d.bbox.center.position.x + d.bbox.size_x / 2,
            d.bbox.center.position.y + d.bbox.size_y / 2,
        )
        for d in message.detections
    ]
    return np.array(rows, np.float32).reshape(-1, 4)


def class_index(class_id: str, classes: tuple[str, ...]) -> int:
    """The class number behind a ``class_id``, given as index or as name."""
    return classes.index(class_id) if class_id in classes else int(class_id)


def count_matches(
    frame: CameraFrame, message: Detection2DArray, classes: tuple[str, ...], threshold: float = 0.5
) -> int:
    """How many truth boxes a detection of their class covers (IoU), each used once."""
    boxes = boxes_of(message)
    labels = np.array(
        [class_index(d.results[0].hypothesis.class_id, classes) for d in message.detections], int
    )
    if not len(boxes) or not len(frame.boxes):
        return 0
    overlap = iou(frame.boxes, boxes)
    overlap[frame.labels[:, None] != labels[None, :]] = 0
    count = 0
    while overlap.max() >= threshold:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :] = overlap[:, column] = 0
        count += 1
    return count


def draw(frame: CameraFrame, message: Detection2DArray, classes: tuple[str, ...]) -> str:
    """JPEG, base64: the frame with truth (thin white) and detections (coloured, with score)."""
    image = frame.image if frame.image.ndim == 3 else cv2.cvtColor(frame.image, cv2.COLOR_GRAY2BGR)
    scale = max(1, round(900 / image.shape[1]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    for box in frame.boxes:
        _rectangle(image, box * scale, (255, 255, 255), 1)
    palette = [(80, 175, 76), (0, 165, 255), (235, 99, 160), (219, 152, 52), (60, 76, 231)]
    for box, detection in zip(boxes_of(message), message.detections, strict=True):
        best = detection.results[0].hypothesis
        index = class_index(best.class_id, classes)
        colour = palette[index % len(palette)]
        _rectangle(image, box * scale, colour, 2)
        corner = (int(box[0] * scale), max(10, int(box[1] * scale) - 4))
        text = f'{classes[index]} {best.score:.2f}'
        cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3)
        cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1)
    done, jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return base64.b64encode(jpeg.tobytes()).decode() if done else ''


def _rectangle(image: np.ndarray, box: np.ndarray, colour: tuple[int, ...], width: int) -> None:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, width)

