# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes pictures and does nothing with them: how long they are under way before a node has them.

From the camera's stamp to DDS's own time of reception: the camera's publishing and the transport,
which are no node's work but part of every node's age.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from uav_prune_perception.ros.process import keep_image_memory


def main(log: Path) -> int:
    """Spin until a signal, then write the milliseconds of all pictures to ``log``, as JSON."""
    keep_image_memory()
    rclpy.init(args=sys.argv)
    node = rclpy.create_node('perception')
    under_way_ms: list[float] = []

    def take(message: Image, info: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        under_way_ms.append((info['received_timestamp'] - stamp) / 1e6)

    node.create_subscription(Image, 'image', take, qos_profile_sensor_data)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        log.write_text(json.dumps(under_way_ms))
    return 0
