# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who answers for the frame in work, when its engine may never come back."""

from __future__ import annotations

import threading
import time

from .frame import Frame

HANG_S = 10.0  # an engine that needs longer for one frame hangs
HANG_LOOKS = 50  # seen from outside so often meanwhile: a process that was stopped hangs nowhere


class WorkWatch:
    """The frame that a worker has with an engine; thread-safe.

    A frame is accounted for once: by its worker, which says `finished`, or by whoever lost
    patience and called `dismiss` before. A dismissed worker's answer counts for nothing and it
    takes no other frame.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._begun_s = 0.0
        self._looks = 0
        self.level = -1
        self.dismissed = False

    def begin(self, frame: Frame, level: int) -> None:
        """The worker gives a frame to the engine of a level."""
        with self._lock:
            self._frame, self.level = frame, level
            self._begun_s, self._looks = time.monotonic(), 0

    def answered(self) -> None:
        """The engine has answered, and has more to do for the same frame (its next tile)."""
        with self._lock:
            self._begun_s, self._looks = time.monotonic(), 0

    def finished(self) -> bool:
        """The engine has answered or failed; whether the frame is still the worker's."""
        with self._lock:
            self._frame = None
            return not self.dismissed

    def hangs(self) -> bool:
        """Whether the frame has been with the engine for too long; ask some ten times a second."""
        with self._lock:
            if self._frame is None:
                return False
            self._looks += 1
            return self._looks >= HANG_LOOKS and time.monotonic() - self._begun_s >= HANG_S

    def dismiss(self) -> Frame | None:
        """Take the frame from the worker; None when it has none (any more)."""
        with self._lock:
            frame, self._frame = self._frame, None
            self.dismissed = frame is not None
            return frame
