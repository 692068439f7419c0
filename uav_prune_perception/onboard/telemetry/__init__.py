# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the drone knows of its battery and its computer."""

from .battery import normalise_battery
from .snapshot import BatteryState, BoardState, Telemetry
from .tegrastats import parse_tegrastats

__all__ = ['BatteryState', 'BoardState', 'Telemetry', 'normalise_battery', 'parse_tegrastats']
