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

from .guarded import guarded
from .image_taker import Take

PAUSE_S = 0.1  # after a fault, so that a lasting one does not burn a core
STOP_S = 5.0  # a callback only looks at a header and leaves the image to the worker


class ImageReader(threading.Thread):
    """Waits for one subscription and calls back with every message.

    rclpy's executor makes its wait set anew for every message, of all the node's services, timers
    and events, and more than once: for this node more than half a millisecond each time, all
    under the GIL, while the worker needs it. A wait set of one subscription costs next to nothing
    (`rclpy.wait_for_message` does the same). The subscription's QoS events must come along: in
    rmw_fastrtps, whoever waits for them is woken by every message.
    """

    def __init__(
        self, node: Node, subscription: Any, take: Take, callback: Callable[[Any], None]
    ) -> None:
        """Take the subscription away from the executor; ``callback`` must not raise."""
        super().__init__(name='images', daemon=True)
        self._events = list(subscription.event_handlers)
        for entity in (subscription, *self._events):
            entity.callback_group = _Nobody()
        self._context: Any = node.context.handle
        self._subscription, self._take, self._callback = subscription, take, callback
        self._wake = GuardCondition(None, None, context=node.context)
        self._ended = threading.Event()
        self._turn = guarded(self._wait_and_take, node.get_logger())

    def run(self) -> None:
        """Until `stop`."""
        with self._context, self._subscription.handle, self._wake.handle:
            wait_set = _rclpy.WaitSet(1, 1, 0, 0, 0, len(self._events), self._context)
            while not self._ended.is_set():
                if not self._turn(wait_set):
                    self._ended.wait(PAUSE_S)

    def _wait_and_take(self, wait_set: Any) -> bool:
        handle = self._subscription.handle
        wait_set.clear_entities()
        wait_set.add_subscription(handle)
        wait_set.add_guard_condition(self._wake.handle)
        for event in self._events:
            event.add_to_wait_set(wait_set)
        wait_set.wait(-1)
        if self._ended.is_set():
            return True
        message = self._take(handle)
        if message is not None:
            self._callback(message)
        for event in self._events:
            if event.is_ready(wait_set) and (data := event.take_data()) is not None:
                event.callback(data)
        return True

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
