# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How long a step up must have fitted before it is taken, longer after one that failed."""

from __future__ import annotations

import math

TAKEN_BACK_S = 3.0  # a step up that lasts less was a mistake
FORGIVEN_S = 30.0


class Dwell:
    """Doubles after each step up that had to be taken back; forgives after a while.

    Attributes:
        seconds: the dwell in force.
    """

    def __init__(self, base_s: float, most_s: float) -> None:
        self.seconds = base_s
        self._base_s, self._most_s = base_s, most_s
        self._up_s = self._taken_back_s = -math.inf

    def change(self, base_s: float, most_s: float) -> None:
        """Other settings; harmless when they are the same."""
        if (base_s, most_s) != (self._base_s, self._most_s):
            self._base_s, self._most_s, self.seconds = base_s, most_s, base_s

    def stepped_up(self, now_s: float) -> None:
        """A step up is taken."""
        self._up_s = now_s

    def stepped_down(self, now_s: float) -> None:
        """A step down is taken: perhaps the last step up was a mistake."""
        if now_s - self._up_s < TAKEN_BACK_S:
            self.seconds = min(2.0 * self.seconds, max(self._most_s, self._base_s))
            self._taken_back_s = now_s

    def forgive(self, now_s: float) -> None:
        """All limits are kept now."""
        if now_s - self._taken_back_s > max(FORGIVEN_S, 2.0 * self.seconds):
            self.seconds = self._base_s
