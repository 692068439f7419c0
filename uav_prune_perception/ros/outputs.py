# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node says: results, labels, the level, statistics, the overlay."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from ..ladder import BoxesScores, Ladder
from ..onboard.results import Result
from . import qos
from .message_conversion import MessageConverter, label_info
from .overlay import overlay_message
from .parameters import Settings


class Outputs:
    """Lifecycle publishers of one flight; silent unless the node is active.

    `publish` is called in the pipeline's worker thread, everything else in the executor's.
    """

    def __init__(self, node: LifecycleNode, ladder: Ladder, settings: Settings) -> None:
        self._node, self._ladder = node, ladder
        self._publishers: list[Any] = []
        if ladder.task == 'detection':
            self._results = self._advertise(Detection2DArray, '~/detections', qos.results())
        else:
            self._results = self._advertise(Classification, '~/classification', qos.results())
        self._labels = self._advertise(LabelInfo, '~/label_info', qos.latched())
        self._level = self._advertise(DiagnosticStatus, '~/level', qos.latched())
        self._stats = self._advertise(DiagnosticStatus, '~/stats', qos.results())
        self._overlay = self._advertise(Image, '~/overlay', qos.newest_only())
        self.change(settings)

    def change(self, settings: Settings) -> None:
        """Follow changed parameters; the labels are said again when they differ."""
        names = settings.text('class_id_format') == 'name'
        self._converter = MessageConverter(self._ladder.classes, names=names)
        threshold = settings.threshold('postprocess.score_threshold')
        decode = self._ladder.decode
        if threshold is None:
            threshold = decode.score_threshold if isinstance(decode, BoxesScores) else 0.0
        stamp = self._node.get_clock().now().to_msg()
        self._labels.publish(label_info(self._ladder, Header(stamp=stamp), threshold))

    def publish(self, result: Result) -> None:
        """The result, and the overlay if anybody looks."""
        header = result.frame.tag
        if result.detections is not None:
            self._results.publish(self._converter.detections(result.detections, header))
        if result.classification is not None:
            self._results.publish(self._converter.classification(result.classification, header))
        if self._overlay.get_subscription_count():
            self._overlay.publish(overlay_message(result, self._ladder.classes))

    def say_level(self, message: DiagnosticStatus) -> None:
        """Which level runs."""
        self._level.publish(message)

    def say_stats(self, message: DiagnosticStatus) -> None:
        """Counters and times."""
        self._stats.publish(message)

    def close(self) -> None:
        """Take every publisher away."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())

    def _advertise(self, kind: Any, topic: str, profile: Any) -> Any:
        warn = self._node.get_logger().warning
        name = self._node.resolve_topic_name(topic)
        publisher = self._node.create_lifecycle_publisher(
            kind, topic, profile,
            event_callbacks=qos.publisher_events(name, warn),
            qos_overriding_options=qos.overridable(),
        )
        self._publishers.append(publisher)
        return publisher
