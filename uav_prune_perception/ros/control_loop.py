# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Something done at a fixed rate in a thread of its own, past the executor."""

from __future__ import annotations

import threading
from collections.abc import Callable

STOP_S = 5.0


class ControlLoop(threading.Thread):
    """Calls ``tick`` every ``period_s`` seconds of the steady clock until `stop`.

    A ROS timer would cost more than the policy does: whenever one fires, rclpy makes its wait set
    of all the node's services and events anew.
    """

    def __init__(self, period_s: float, tick: Callable[[], None]) -> None:
        """``tick`` must not raise."""
        super().__init__(name='control', daemon=True)
        self._period_s, self._tick = period_s, tick
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._ended.wait(self._period_s):
            self._tick()

    def stop(self) -> None:
        """Call no more; returns when the last call is over."""
        self._ended.set()
        self.join(STOP_S)
