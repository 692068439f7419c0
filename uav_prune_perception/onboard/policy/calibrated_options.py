# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the calibrated policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHARES = (
    'deadline_probability', 'battery_reserve_fraction', 'battery_low_fraction',
    'battery_critical_fraction', 'battery_hysteresis',
)


@dataclass(frozen=True)
class CalibratedOptions:
    """Options of `CalibratedPolicy`; 0 switches a limit off.

    Attributes:
        deadline_ms: from a frame's arrival to its result.
        deadline_probability: share of frames that must keep the deadline.
        power_limit_w: of the board.
        temperature_limit_c: of the chip; the kernel's own trip point less
            ``temperature_margin_c`` is used where that is lower.
        temperature_margin_c: step up only this far under the limit.
        target_endurance_s: the battery must last this long from the first reading.
        battery_capacity_wh: of the full battery; 0 = learn it in flight.
        battery_reserve_fraction: charge to land with.
        battery_low_fraction: below it, at most the middle level runs.
        battery_critical_fraction: below it, only the lightest level runs.
        battery_hysteresis: the charge must rise this far above a threshold to lift its limit.
        max_every: may process only every n-th frame, n up to this; 1 = every frame.
        staleness_s: an answer's worth falls to 37 % in this time: weighs skipping against
            pruning. Small for fast flight.
        dwell_up_s: a better level must fit this long without a break.
        max_dwell_s: the dwell doubles after each step up that had to be taken back, up to this.
        alarm_hold_s: no step up for so long after an over-current or under-voltage event.
        thermal_c_per_w: degrees per watt of the cooler, roughly.
        thermal_time_s: its time constant, roughly.
        thermal_horizon_s: how far ahead the temperature limit must be kept.
    """

    deadline_ms: float = 50.0
    deadline_probability: float = 0.95
    power_limit_w: float = 0.0
    temperature_limit_c: float = 85.0
    temperature_margin_c: float = 2.0
    target_endurance_s: float = 0.0
    battery_capacity_wh: float = 0.0
    battery_reserve_fraction: float = 0.15
    battery_low_fraction: float = 0.0
    battery_critical_fraction: float = 0.0
    battery_hysteresis: float = 0.05
    max_every: int = 1
    staleness_s: float = 0.3
    dwell_up_s: float = 5.0
    max_dwell_s: float = 60.0
    alarm_hold_s: float = 30.0
    thermal_c_per_w: float = 4.0
    thermal_time_s: float = 60.0
    thermal_horizon_s: float = 20.0

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError naming the option and its range."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f'{name} is {value}, must be a number from 0')
        for name in SHARES:
            if getattr(self, name) >= 1:
                raise ValueError(f'{name} is {getattr(self, name)}, must be below 1')
        for name in ('thermal_c_per_w', 'thermal_time_s', 'thermal_horizon_s', 'staleness_s'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} is {getattr(self, name)}, must be above 0')
        if not 1 <= self.max_every <= 30 or self.max_every != int(self.max_every):
            raise ValueError(f'max_every is {self.max_every}, must be a whole number 1..30')
        if self.battery_critical_fraction > self.battery_low_fraction:
            raise ValueError(
                f'battery_critical_fraction is {self.battery_critical_fraction}, must not be '
                f'above battery_low_fraction {self.battery_low_fraction}'
            )
