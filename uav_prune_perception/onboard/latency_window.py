# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The active level's latest frames, summed up for the policy."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from .policy.base import RecentLatency

FRAMES = 30
MAX_AGE_S = 10.0  # frames older than this say nothing about now


class LatencyWindow:
    """The last ``FRAMES`` frames of at most ``MAX_AGE_S`` seconds; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: deque[tuple[float, float, float]] = deque(maxlen=FRAMES)

    def add(self, now_s: float, total_ms: float, inference_ms: float) -> None:
        """One processed frame."""
        with self._lock:
            self._frames.append((now_s, total_ms, inference_ms))

    def clear(self) -> None:
        """Forget: another level runs now."""
        with self._lock:
            self._frames.clear()

    def summary(self, now_s: float) -> RecentLatency:
        """Percentiles of what is young enough."""
        with self._lock:
            recent = [frame for frame in self._frames if now_s - frame[0] <= MAX_AGE_S]
        if not recent:
            return RecentLatency()
        values = np.array(recent)
        p50, p95 = np.percentile(values[:, 1], (50, 95))
        inference = float(np.median(values[:, 2]))
        return RecentLatency(float(p50), float(p95), inference, len(recent))
