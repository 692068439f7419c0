# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node listens to: the cameras, the battery, the board."""

from __future__ import annotations

import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import BatteryState

from ..onboard.pipeline import Pipeline
from ..onboard.statistics import StatisticsSnapshot
from ..onboard.telemetry import BoardState, normalise_battery
from . import qos
from .camera_input import CameraInput
from .diagnostics import InputView
from .guarded import guarded
from .parameters import Settings

BATTERY = 'battery_state'
# What a computer on a drone can have; anything else is no reading.
BOARD_RANGES = {'power_w': (0.0, 1e5), 'temperature_c': (-100.0, 300.0), 'load': (0.0, 1.0)}


class Inputs:
    """Subscriptions that feed one pipeline; all callbacks run in the executor's thread."""

    def __init__(self, node: Node, pipeline: Pipeline, settings: Settings) -> None:
        self._node, self._pipeline = node, pipeline
        self.cameras = [
            CameraInput(node, pipeline, name, settings) for name in settings.cameras
        ]
        self._readings = [
            self._subscribe(BatteryState, BATTERY, self._on_battery),
            self._subscribe(DiagnosticArray, 'board_state', self._on_board),
        ]

    def change(self, settings: Settings) -> None:
        """Follow changed parameters."""
        for camera in self.cameras:
            camera.settings = settings

    def ignore(self) -> None:
        """Take no images any more."""
        for camera in self.cameras:
            camera.listen(False)

    def close(self) -> None:
        """Drop every subscription."""
        self.ignore()
        while self._readings:
            self._node.destroy_subscription(self._readings.pop())

    def view(self, statistics: StatisticsSnapshot) -> tuple[InputView, ...]:
        """For diagnostics."""
        return tuple(camera.view(statistics.cameras[camera.name]) for camera in self.cameras)

    def _subscribe(self, kind: Any, topic: str, callback: Any) -> Any:
        logger = self._node.get_logger()
        return qos.subscribe(self._node, kind, topic, guarded(callback, logger), qos.readings())

    def _on_battery(self, message: BatteryState) -> None:
        if message.percentage > 1.0:
            self._node.get_logger().warning(
                f'{BATTERY}: percentage {message.percentage:g} is not 0..1 as '
                'sensor_msgs/BatteryState has it, and counts as unknown', once=True,
            )
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
            if pair.key in BOARD_RANGES and pair.key not in found:
                found[pair.key] = _number(pair.value, *BOARD_RANGES[pair.key])
    if not found:
        return None
    power_w, temperature_c, load = (found.get(key, math.nan) for key in BOARD_RANGES)
    return BoardState(power_w, temperature_c, load, received_s)


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if low <= value <= high else math.nan
