# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node listens to: the camera, the battery, the board."""

from __future__ import annotations

import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import BatteryState, CompressedImage, Image

from ..onboard.frame import Frame
from ..onboard.pipeline import Pipeline
from ..onboard.telemetry import BoardState, normalise_battery
from . import qos
from .diagnostics import InputView
from .guarded import guarded
from .image_conversion import ImageError, frame_from_compressed, frame_from_image
from .parameters import Settings

BOARD_KEYS = ('power_w', 'temperature_c', 'load')
FAILURE_SHOWN_S = 5.0  # diagnostics come once a second: a failure must not slip through


class Inputs:
    """Subscriptions that feed one pipeline; all callbacks run in the executor's thread."""

    def __init__(self, node: Node, pipeline: Pipeline, settings: Settings) -> None:
        self._node, self._pipeline = node, pipeline
        self.settings = settings
        self._camera: Any = None
        self._heard_s = math.nan  # last image, or the activation
        self._failed, self._failed_s, self._reason = 0, -math.inf, ''
        self._readings = [
            self._subscribe(BatteryState, 'battery_state', self._on_battery, qos.readings()),
            self._subscribe(DiagnosticArray, 'board_state', self._on_board, qos.readings()),
        ]

    @property
    def topic(self) -> str:
        """The camera topic's name, before remapping."""
        raw = self.settings.text('input.transport') == 'raw'
        return 'image' if raw else 'image/compressed'

    def listen(self) -> None:
        """Begin to take images."""
        raw = self.topic == 'image'
        self._heard_s = time.monotonic()
        self._camera = self._subscribe(
            Image if raw else CompressedImage, self.topic,
            self._on_image if raw else self._on_compressed, qos.newest_only(),
        )

    def ignore(self) -> None:
        """Take no images any more."""
        if self._camera is not None:
            self._node.destroy_subscription(self._camera)
        self._camera, self._heard_s = None, math.nan

    def close(self) -> None:
        """Drop every subscription."""
        self.ignore()
        while self._readings:
            self._node.destroy_subscription(self._readings.pop())

    def view(self, failed: int, last_failure: str) -> InputView:
        """For diagnostics; ``failed`` and ``last_failure`` are the pipeline's."""
        now = time.monotonic()
        if failed > self._failed:
            self._failed, self._failed_s, self._reason = failed, now, last_failure
        recent = now - self._failed_s < FAILURE_SHOWN_S
        topic = self._node.resolve_topic_name(self.topic)
        publishers = self._node.count_publishers(topic) if self._camera is not None else 0
        return InputView(
            topic, publishers, now - self._heard_s, self.settings.number('input.timeout_s'),
            self._reason if recent else '',
        )

    def _subscribe(self, kind: Any, topic: str, callback: Any, profile: Any) -> Any:
        logger = self._node.get_logger()
        name = self._node.resolve_topic_name(topic)
        return self._node.create_subscription(
            kind, topic, guarded(callback, logger), profile,
            event_callbacks=qos.subscription_events(name, logger.warning),
            qos_overriding_options=qos.overridable(),
        )

    def _on_image(self, message: Image) -> None:
        self._take(frame_from_image, message)

    def _on_compressed(self, message: CompressedImage) -> None:
        self._take(frame_from_compressed, message)

    def _take(self, convert: Any, message: Any) -> None:
        self._heard_s = time.monotonic()
        try:
            frame: Frame = convert(message, depth16=self.settings.text('input.depth16'))
        except ImageError as error:
            self._pipeline.reject(str(error))
        else:
            self._pipeline.submit(frame)

    def _on_battery(self, message: BatteryState) -> None:
        reading = normalise_battery(
            message.percentage, message.voltage, message.current, received_s=time.monotonic()
        )
        self._pipeline.telemetry.update_battery(reading)

    def _on_board(self, message: DiagnosticArray) -> None:
        state = board_state(message, time.monotonic())
        if state is not None:
            self._pipeline.telemetry.update_board(state)


def board_state(message: DiagnosticArray, received_s: float) -> BoardState | None:
    """Power, temperature and load from the first statuses that have them; None if none has."""
    found: dict[str, float] = {}
    for item in message.status:
        for pair in item.values:
            if pair.key in BOARD_KEYS and pair.key not in found:
                found[pair.key] = _number(pair.value)
    if not found:
        return None
    power_w, temperature_c, load = (found.get(key, math.nan) for key in BOARD_KEYS)
    return BoardState(power_w, temperature_c, load, received_s)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
