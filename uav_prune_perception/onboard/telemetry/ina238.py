# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Jetson Thor's INA238: one rail, the input of the module."""

from __future__ import annotations

import math
from pathlib import Path

from .rails import Rail
from .sysfs import matching, read_number, read_text

NAME = 'VIN'


class Ina238:
    """The input rail. The kernel gives microwatts, where the INA3221 driver gives mV and mA.

    Other hwmon devices with a ``power1_input`` are passed over by name: ``ucsi_source_psy_*``
    say what a USB-PD supply would be willing to give, not what flows.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._device: Path | None = None
        self.probe()

    def probe(self) -> bool:
        """Look for the chip again; true if it is there."""
        found = [
            device for device in matching(self._root, 'sys/class/hwmon/hwmon*')
            if read_text(device / 'name') == 'ina238'
        ]
        self._device = found[0] if found else None
        return bool(found)

    def rails(self) -> list[Rail]:
        """The input rail, or nothing."""
        if self._device is None:
            return []
        volts = read_number(self._device / 'in1_input', 1e-3)
        amperes = read_number(self._device / 'curr1_input', 1e-3)
        watts = read_number(self._device / 'power1_input', 1e-6)
        return [Rail(NAME, watts, volts, amperes)]

    def power_w(self) -> float:
        """Input power of the module, watts."""
        rails = self.rails()
        return rails[0].power_w if rails else math.nan
