# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast frames come in, which of them are left out, and what became of the latest."""

from __future__ import annotations

import threading
from collections import deque

from .policy.base import FrameTime

RATE_S = 1.0  # the camera's rate is measured over this
MOST = 512  # frames between two ticks, and arrivals remembered


class FrameFlow:
    """What the policy is told of the stream, and its frame divider; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._every = 1
        self._passed: dict[str, int] = {}  # by camera, since the last frame that was let in
        self._arrivals: deque[float] = deque(maxlen=MOST)
        self._processed: deque[FrameTime] = deque(maxlen=MOST)

    def admit(self, now_s: float, camera: str = '') -> bool:
        """A frame came in; whether it is to be processed."""
        with self._lock:
            self._arrivals.append(now_s)
            passed = self._passed.get(camera, 0) + 1
            admitted = passed >= self._every
            self._passed[camera] = 0 if admitted else passed
            return admitted

    def divide(self, every: int) -> None:
        """Let in only every n-th frame of each camera from now on."""
        with self._lock:
            self._every = max(1, every)

    def processed(self, level: int, total_ms: float, inference_ms: float) -> None:
        """A frame is done."""
        with self._lock:
            self._processed.append(FrameTime(level, total_ms, inference_ms))

    def take(self) -> tuple[FrameTime, ...]:
        """Frames done since the last call."""
        with self._lock:
            frames = tuple(self._processed)
            self._processed.clear()
        return frames

    def input_hz(self, now_s: float) -> float:
        """Rate of arrival, all cameras, over the last second; nan while too few came."""
        with self._lock:
            recent = [t for t in self._arrivals if now_s - t <= RATE_S]
        if len(recent) < 3 or recent[-1] <= recent[0]:
            return float('nan')
        return (len(recent) - 1) / (recent[-1] - recent[0])
