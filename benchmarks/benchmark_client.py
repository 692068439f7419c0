# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who listens to a node under test: ages of its detections, its transitions."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from vision_msgs.msg import Detection2DArray

LIMIT_S = 30.0
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE, 'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE, 'cleanup': Transition.TRANSITION_CLEANUP,
}


class Client:
    """One subscriber of ``/perception/detections``; a context of its own for every use."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []  # at the receipt
        self.published_ms: list[float] = []  # when the node published
        self._context = rclpy.Context()
        self._context.init()
        self._node = rclpy.create_node('client', context=self._context)
        self._node.create_subscription(
            Detection2DArray, '/perception/detections', self._on_detections, 10
        )
        self._change = self._node.create_client(ChangeState, '/perception/change_state')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def listen(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait_for_detection(self, limit_s: float) -> None:
        """Spin until the first result. Raises TimeoutError."""
        end = time.monotonic() + limit_s
        while not self.ages_ms:
            if time.monotonic() > end:
                raise TimeoutError('the node gives no detections')
            self._executor.spin_once(timeout_sec=0.01)

    def transition(self, name: str) -> None:
        """Take the node from one state to another. Raises TimeoutError."""
        end = time.monotonic() + LIMIT_S
        while not self._change.service_is_ready():
            if time.monotonic() > end:
                raise TimeoutError('the node does not answer')
            self._executor.spin_once(timeout_sec=0.01)
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        future = self._change.call_async(request)
        self._executor.spin_until_future_complete(future, LIMIT_S)
        if not future.done() or not future.result().success:
            raise TimeoutError(f'{name} failed')

    def _on_detections(self, message: Any, info: Any) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self.ages_ms.append((time.time_ns() - stamp) / 1e6)
        self.published_ms.append((info['source_timestamp'] - stamp) / 1e6)
