# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes images out of DDS in a thread of its own, past the executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node

STOP_S = 5.0  # a callback only looks at a header and leaves the image to the worker


class ImageReader(threading.Thread):
    """Waits for one subscription and calls back with every message.

    rclpy's executor makes its wait set anew for every message, of all the node's services, timers
    and events, and twice per callback: for this node more than half a millisecond each time, all
    under the GIL, while the worker needs it. A wait set of one subscription costs next to nothing
    (`rclpy.wait_for_message` does the same).
    """

    def __init__(self, node: Node, subscription: Any, callback: Callable[[Any], None]) -> None:
        """Take the subscription away from the executor; ``callback`` must not raise."""
        super().__init__(name='images', daemon=True)
        subscription.callback_group = _Nobody()  # its QoS events stay with the executor
        self._context = node.context
        self._subscription, self._callback = subscription, callback
        self._wake = GuardCondition(None, None, context=node.context)
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        context, handle = self._context.handle, self._subscription.handle
        kind = self._subscription.msg_type
        with context, handle, self._wake.handle:
            wait_set = _rclpy.WaitSet(1, 1, 0, 0, 0, 0, context)
            while not self._ended.is_set():
                wait_set.clear_entities()
                wait_set.add_subscription(handle)
                wait_set.add_guard_condition(self._wake.handle)
                wait_set.wait(-1)
                if self._ended.is_set():
                    return
                taken = handle.take_message(kind, False)
                if taken is not None:
                    self._callback(taken[0])

    def stop(self) -> None:
        """Call back no more; returns when the thread has let go of the subscription."""
        self._ended.set()
        self._wake.trigger()
        self.join(STOP_S)
        self._wake.destroy()


class _Nobody(CallbackGroup):
    """The group of what no executor may touch."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None: ...
