# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node says: each camera's results, the level, statistics."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode

from ..ladder import Ladder
from ..onboard.results import Result
from . import qos
from .camera_output import CameraOutput
from .parameters import Settings


class Outputs:
    """Lifecycle publishers of one flight; silent unless the node is active.

    `publish` is called in the pipeline's worker thread, everything else in the executor's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        ladder: Ladder,
        settings: Settings,
        on_match: Callable[[], None],
    ) -> None:
        """Advertise; ``on_match`` is called when a subscriber of results comes or goes."""
        self._node = node
        self.cameras = {
            name: CameraOutput(node, ladder, settings, name, on_match)
            for name in settings.cameras
        }
        self._level = qos.advertise(node, DiagnosticStatus, '~/level', qos.latched())
        self._stats = qos.advertise(node, DiagnosticStatus, '~/stats', qos.results())

    def change(self, settings: Settings) -> None:
        """Follow changed parameters, and say the labels again."""
        for camera in self.cameras.values():
            camera.change(settings)

    def publish(self, result: Result) -> None:
        """The result, and the overlay if anybody looks."""
        self.cameras[result.frame.camera].publish(result)

    def say_level(self, message: DiagnosticStatus) -> None:
        """Which level runs."""
        self._level.publish(message)

    def say_stats(self, message: DiagnosticStatus) -> None:
        """Counters and times of all cameras together."""
        self._stats.publish(message)

    def close(self) -> None:
        """Take every publisher away; may be called twice."""
        cameras, self.cameras = self.cameras, {}
        if not cameras:
            return
        for camera in cameras.values():
            camera.close()
        for publisher in (self._level, self._stats):
            self._node.destroy_lifecycle_publisher(publisher)
