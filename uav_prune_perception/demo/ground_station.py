# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The other side of the topics: plays camera and telemetry, watches what the node answers."""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import BatteryState, Image
from vision_msgs.msg import Detection2DArray

from uav_prune_perception.report.flight_record import (
    FlightRecord,
    FrameSeen,
    LevelChange,
    StatisticsSeen,
    TelemetrySent,
)

from .camera import Camera, CameraFrame
from .scenario import Moment
from .truth import count_matches

LATCHED = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
)
SENT_KEPT = 200  # frames whose truth is remembered until their detections come back


class GroundStation(Node):
    """Publishes frames and telemetry; records detections, levels and statistics."""

    def __init__(
        self,
        node: str,
        camera: Camera,
        record: FlightRecord,
        classes: tuple[str, ...],
        context: Context,
    ) -> None:
        """``node`` is the perception node's name (no namespace), ``context`` is initialised."""
        super().__init__('demo_ground_station', context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)
        self.record = record
        self.level = ''
        self.on_detections: Callable[[CameraFrame, Detection2DArray], None] | None = None
        self._camera, self._classes = camera, classes
        self._sent: OrderedDict[int, CameraFrame] = OrderedDict()
        self._take_off = time.monotonic()
        self._image = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._battery = self.create_publisher(BatteryState, 'battery_state', 10)
        self._board = self.create_publisher(DiagnosticArray, 'board_state', 10)
        self._message: Image | None = None
        self.create_subscription(
            Detection2DArray, f'{node}/detections', self._on_detections, 10
        )
        self.create_subscription(DiagnosticStatus, f'{node}/level', self._on_level, LATCHED)
        self.create_subscription(DiagnosticStatus, f'{node}/stats', self._on_stats, 10)
        self._change: Client = self.create_client(ChangeState, f'{node}/change_state')

    @property
    def flight_time_s(self) -> float:
        """Seconds since take-off."""
        return time.monotonic() - self._take_off

    def spin(self, timeout_s: float) -> None:
        """Handle at most one message, waiting so long for it."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def take_off(self) -> None:
        """Start the flight's clock."""
        self._take_off = time.monotonic()
        for change in self.record.levels:
            change.t_s = 0.0

    def transition(self, transition: int, timeout_s: float = 60.0) -> bool:
        """Ask the node for a lifecycle transition and wait for the answer."""
        if not self._change.wait_for_service(timeout_sec=timeout_s):
            raise TimeoutError(f'no answer from {self._change.srv_name}: is the node running?')
        request = ChangeState.Request()
        request.transition.id = transition
        future = self._change.call_async(request)
        self._executor.spin_until_future_complete(future, timeout_sec=timeout_s)
        response = future.result()
        return bool(response is not None and response.success)

    def wait_for_match(self, timeout_s: float = 20.0) -> None:
        """Wait until the active node listens to the camera.

        Raises:
            TimeoutError: nobody subscribes to the image topic.
        """
        limit = time.monotonic() + timeout_s
        while self._image.get_subscription_count() == 0:
            if time.monotonic() > limit:
                raise TimeoutError('the node does not listen to "image"')
            self.spin(0.05)

    def send_frame(self, number: int) -> None:
        """Publish one picture, stamped now."""
        frame = self._camera.frame(number)
        message = self._message or self._new_message(frame)
        np.copyto(np.frombuffer(message.data, np.uint8).reshape(frame.image.shape), frame.image)
        stamp_ns = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        self._sent[stamp_ns] = frame
        while len(self._sent) > SENT_KEPT:
            self._sent.popitem(last=False)
        self._image.publish(message)
        self.record.frames_sent += 1

    def send_telemetry(self, moment: Moment) -> None:
        """Publish battery and board state; remember what was said."""
        battery = BatteryState()
        battery.header.stamp = self.get_clock().now().to_msg()
        battery.voltage = moment.battery_voltage_v
        battery.percentage = moment.battery_fraction
        battery.current = battery.temperature = math.nan
        battery.power_supply_status = BatteryState.POWER_SUPPLY_STATUS_DISCHARGING
        battery.present = True
        self._battery.publish(battery)
        values = {
            'power_w': moment.power_w, 'temperature_c': moment.temperature_c, 'load': moment.load
        }
        status = DiagnosticStatus(name='demo: board', hardware_id='demo', level=b'\x00')
        status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
        board = DiagnosticArray(status=[status])
        board.header.stamp = battery.header.stamp
        self._board.publish(board)
        self.record.telemetry.append(
            TelemetrySent(
                self.flight_time_s, moment.battery_fraction, moment.power_w,
                moment.temperature_c, moment.load, moment.burners,
            )
        )

    def _new_message(self, frame: CameraFrame) -> Image:
        self._message = message = Image()
        message.header.frame_id = 'camera_optical'
        message.height, message.width = frame.image.shape[:2]
        message.encoding = self._camera.encoding
        message.step = frame.image.strides[0]
        message.data.frombytes(bytes(frame.image.nbytes))  # grown once, then overwritten in place
        return message

    def _on_detections(self, message: Detection2DArray) -> None:
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 10**9 + stamp.nanosec
        age_ms = (time.time_ns() - stamp_ns) / 1e6
        seen = FrameSeen(self.flight_time_s, self.level, age_ms, len(message.detections))
        frame = self._sent.pop(stamp_ns, None)
        if frame is not None:
            seen.truth = len(frame.boxes)
            seen.matched = count_matches(frame, message, self._classes)
            if self.on_detections is not None:
                self.on_detections(frame, message)
        self.record.frames.append(seen)

    def _on_level(self, message: DiagnosticStatus) -> None:
        values = {item.key: item.value for item in message.values}
        self.level = values.get('name', message.name)
        self.record.levels.append(
            LevelChange(
                self.flight_time_s, self.level, values.get('previous', ''),
                values.get('code', ''), message.message,
            )
        )

    def _on_stats(self, message: DiagnosticStatus) -> None:
        values = {}
        for item in message.values:
            try:
                values[item.key] = float(json.loads(item.value))
            except (TypeError, ValueError):
                continue  # names and words stand among the numbers
        self.record.statistics.append(StatisticsSeen(self.flight_time_s, values))
