# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/BatteryState as it really comes, to a `BatteryState` that can be trusted."""

from __future__ import annotations

import math

from .snapshot import BatteryState

MOST_V, MOST_A = 1e4, 1e5  # what is more is no battery of a drone
MAVROS_UNKNOWN_CURRENT_A = 0.01  # mavros turns MAVLink's "-1 = unknown" into this


def normalise_battery(
    percentage: float, voltage: float, current: float, *, received_s: float
) -> BatteryState:
    """From the numbers of a sensor_msgs/BatteryState message.

    Args:
        percentage: 0..1; what lies outside (mavros says -0.01) is unknown, never guessed at.
        voltage: volts; zero and less is unknown.
        current: amperes, negative while discharging; exactly +0.01 is mavros for unknown.
        received_s: `time.monotonic` seconds.

    Returns:
        The state, nan for what is unknown, current positive while discharging.
    """
    fraction = float(percentage) if 0.0 <= percentage <= 1.0 else math.nan
    volts = float(voltage) if 0.0 < voltage <= MOST_V else math.nan
    amperes = -float(current) + 0.0 if abs(current) <= MOST_A else math.nan
    if math.isclose(current, MAVROS_UNKNOWN_CURRENT_A, abs_tol=1e-6):  # float32 on the wire
        amperes = math.nan
    return BatteryState(fraction, volts, amperes, volts * amperes, received_s)
