# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How low the battery is: full, low or critical, with hysteresis."""

from __future__ import annotations

import math

from .base import LevelInfo

FULL, LOW, CRITICAL = 0, 1, 2


class BatteryZone:
    """Remembers the zone, because its limits are lifted later than they are set.

    Attributes:
        zone: `FULL`, `LOW` or `CRITICAL`; stays while the battery is silent.
    """

    def __init__(self) -> None:
        self.zone = FULL

    def update(self, fraction: float, low: float, critical: float, hysteresis: float) -> None:
        """One reading (nan = none); thresholds and hysteresis are fractions of the charge."""
        if math.isnan(fraction):
            return
        for zone, threshold in ((CRITICAL, critical), (LOW, low)):
            held = self.zone >= zone
            if fraction < threshold + (hysteresis if held and threshold else 0.0):
                self.zone = zone
                return
        self.zone = FULL

    def heaviest(self, usable: list[LevelInfo]) -> LevelInfo:
        """The heaviest of the (at least one) usable levels that the zone allows."""
        return usable[(0, len(usable) // 2, len(usable) - 1)[self.zone]]
