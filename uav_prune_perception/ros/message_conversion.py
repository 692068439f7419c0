# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results to vision_msgs messages."""

from __future__ import annotations

from typing import Any

from vision_msgs.msg import (
    Classification,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
)

from ..ladder import Ladder
from ..onboard import results


class MessageConverter:
    """Makes messages out of results of one ladder.

    ``class_id`` is always a string: the index, or with ``names`` the class's name. For one thread:
    the boxes of a message are used again in the next one, because making a box of nine Python
    objects costs more than filling it.
    """

    def __init__(self, classes: tuple[str, ...], *, names: bool = False) -> None:
        self.class_ids = [name if names else str(i) for i, name in enumerate(classes)]
        self._boxes: list[Detection2D] = []

    def detections(self, detections: results.Detections, header: Any) -> Detection2DArray:
        """All boxes in original pixels; the array and every box carry the image's header.

        The message is valid until the next call.
        """
        count = len(detections)
        while len(self._boxes) < count:
            self._boxes.append(Detection2D(results=[ObjectHypothesisWithPose()]))
        items = self._boxes[:count]
        for item, (x1, y1, x2, y2), score, class_id in zip(
            items, detections.boxes.tolist(), detections.scores.tolist(),
            detections.class_ids.tolist(), strict=True,
        ):
            item.header = header
            box, hypothesis = item.bbox, item.results[0].hypothesis
            box.center.position.x = (x1 + x2) / 2
            box.center.position.y = (y1 + y2) / 2
            box.size_x = x2 - x1
            box.size_y = y2 - y1
            hypothesis.class_id = self.class_ids[class_id]
            hypothesis.score = score
        return Detection2DArray(header=header, detections=items)

    def classification(
        self, classification: results.Classification, header: Any
    ) -> Classification:
        """The most likely classes, best first."""
        message = Classification(header=header)
        for class_id, score in zip(
            classification.class_ids.tolist(), classification.scores.tolist(), strict=True
        ):
            name = self.class_ids[class_id]
            message.results.append(ObjectHypothesis(class_id=name, score=score))
        return message


def label_info(ladder: Ladder, header: Any, score_threshold: float) -> LabelInfo:
    """Index to name of every class; the threshold that is in force."""
    message = LabelInfo(header=header, threshold=float(score_threshold))
    for index, name in enumerate(ladder.classes):
        message.class_map.append(VisionClass(class_id=index, class_name=name))
    return message
