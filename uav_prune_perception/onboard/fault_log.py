# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which faults of a stream are worth a line in the log: thirty a second would bury everything."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

AGAIN_S = 60.0  # a fault that has not been seen for so long is news
MOST_LINES, LINES_S = 5, 30.0  # whatever comes, no more lines than this in so many seconds
REMEMBERED = 64  # different faults


class FaultLog:
    """Says a fault when it begins and is silent while it lasts; thread-safe.

    Faults may take turns, or differ in a number every time ("data has 614 bytes"): of those, a few
    are said, and the rest is counted with the next line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}  # reason -> latest moment, oldest first
        self._lines = deque[float](maxlen=MOST_LINES)
        self._left_out = 0

    def line(self, reason: str) -> str | None:
        """What is to be logged now that this has happened; None = nothing."""
        now = self._clock()
        with self._lock:
            before = self._seen.pop(reason, None)
            self._seen[reason] = now
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            if before is not None and now - before < AGAIN_S:
                return None
            if len(self._lines) == MOST_LINES and now - self._lines[0] < LINES_S:
                self._left_out += 1
                return None
            self._lines.append(now)
            left_out, self._left_out = self._left_out, 0
        return f'{reason} (and {left_out} more faults since the last line)' if left_out else reason
