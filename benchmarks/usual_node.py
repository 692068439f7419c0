# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector node written the usual way, to compare with: everything in the image callback.

rclpy with its defaults, cv_bridge's conversion (its NumPy code: a view, then cvtColor), the
letterbox that everybody copies (resize, copyMakeBorder, transpose, float / 255), the engine, NMS
by OpenCV, one Detection2DArray.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import rclpy
from fixed_time_engine import SIDE, FixedTimeEngine
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

SCORE, IOU = 0.25, 0.45


class UsualNode(Node):
    """Image in, detections out."""

    def __init__(self, engine: FixedTimeEngine) -> None:
        super().__init__('perception')
        self._engine = engine
        self._publisher = self.create_publisher(Detection2DArray, '~/detections', 10)
        self.create_subscription(Image, 'image', self._on_image, qos_profile_sensor_data)

    def _on_image(self, message: Image) -> None:
        image = imgmsg_to_cv2(message)
        tensor, ratio, left, top = letterbox(image)
        output = self._engine.infer(tensor)['predictions'][0].T
        scores = output[:, 4:].max(axis=1)
        keep = scores > SCORE
        output, scores = output[keep], scores[keep]
        class_ids = output[:, 4:].argmax(axis=1)
        boxes = output[:, :4].copy()
        boxes[:, :2] -= boxes[:, 2:] / 2
        chosen = cv2.dnn.NMSBoxesBatched(
            boxes.tolist(), scores.tolist(), class_ids.tolist(), SCORE, IOU
        )
        answer = Detection2DArray(header=message.header)
        for index in chosen:
            x, y, width, height = (float(v) for v in boxes[index])
            item = Detection2D(header=message.header)
            item.bbox.center.position.x = (x + width / 2 - left) / ratio
            item.bbox.center.position.y = (y + height / 2 - top) / ratio
            item.bbox.size_x, item.bbox.size_y = width / ratio, height / ratio
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = str(class_ids[index])
            hypothesis.hypothesis.score = float(scores[index])
            item.results.append(hypothesis)
            answer.detections.append(item)
        self._publisher.publish(answer)


def imgmsg_to_cv2(message: Image) -> np.ndarray:
    """What cv_bridge's Python half does for bgr8 -> rgb8 (desired_encoding='rgb8')."""
    array = np.asarray(message.data, dtype=np.uint8)
    view = np.ndarray(
        (message.height, message.step // 3, 3), np.uint8, buffer=array
    )[:, :message.width]
    return cv2.cvtColor(np.ascontiguousarray(view), cv2.COLOR_BGR2RGB)


def letterbox(image: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """The preprocessing of countless detector nodes."""
    height, width = image.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    new_width, new_height = round(width * ratio), round(height * ratio)
    left, top = (SIDE - new_width) // 2, (SIDE - new_height) // 2
    image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    image = cv2.copyMakeBorder(
        image, top, SIDE - new_height - top, left, SIDE - new_width - left,
        cv2.BORDER_CONSTANT, value=(114, 114, 114),
    )
    tensor = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255.0
    return tensor[None], ratio, left, top


def main(ms: float, log: Path) -> int:
    """Spin until a signal."""
    rclpy.init(args=sys.argv)
    engine = FixedTimeEngine(ms, log)
    node = UsualNode(engine)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        engine.close()
    return 0
