# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about one camera's images: results, labels, overlay, statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from ..ladder import BoxesScores, Ladder
from ..onboard.results import Detections, Result
from . import qos
from .detections_cdr import DetectionsPacker, packing_works
from .message_conversion import MessageConverter, label_info
from .overlay import overlay_message
from .parameters import Settings


class CameraOutput:
    """Lifecycle publishers under ``~/``, or ``~/<camera>/`` where there are several cameras.

    `publish` is called in the pipeline's worker thread, everything else in the executor's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        ladder: Ladder,
        settings: Settings,
        name: str,
        on_match: Callable[[], None],
    ) -> None:
        """Advertise; ``on_match`` is called when a subscriber of results comes or goes."""
        self._node, self._ladder = node, ladder
        prefix = f'~/{name}' if name else '~'
        if ladder.task == 'detection':
            kind, topic = Detection2DArray, f'{prefix}/detections'
        else:
            kind, topic = Classification, f'{prefix}/classification'
        self._results = qos.advertise(node, kind, topic, qos.results(), on_match)
        self._overlay = qos.advertise(
            node, Image, f'{prefix}/overlay', qos.newest_only(), on_match
        )
        self._labels = qos.advertise(node, LabelInfo, f'{prefix}/label_info', qos.latched())
        # With one camera, ~/stats says all there is to say.
        self._stats: Any = None
        if name:
            self._stats = qos.advertise(node, DiagnosticStatus, f'{prefix}/stats', qos.results())
        self.change(settings)

    @property
    def wanted(self) -> bool:
        """Whether anybody subscribes to a result or looks at the overlay."""
        return bool(
            self._results.get_subscription_count() or self._overlay.get_subscription_count()
        )

    def change(self, settings: Settings) -> None:
        """Follow changed parameters, and say the labels again."""
        names = settings.text('class_id_format') == 'name'
        self._converter = MessageConverter(self._ladder.classes, names=names)
        detections: Callable[[Detections, Any], Any] = self._converter.detections
        if packing_works():
            detections = DetectionsPacker(self._converter.class_ids)
        self._detections = detections
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
            self._results.publish(self._detections(result.detections, header))
        if result.classification is not None:
            self._results.publish(self._converter.classification(result.classification, header))
        if self._overlay.get_subscription_count():
            self._overlay.publish(overlay_message(result, self._ladder.classes))

    def say_stats(self, message: DiagnosticStatus) -> None:
        """This camera's counters, where there are several cameras."""
        if self._stats is not None:
            self._stats.publish(message)

    def close(self) -> None:
        """Take every publisher away."""
        for publisher in (self._results, self._overlay, self._labels, self._stats):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)
