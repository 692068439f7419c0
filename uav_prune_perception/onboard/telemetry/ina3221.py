# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Jetson's INA3221 power monitors, JetPack 4 (iio) to 6 (hwmon)."""

from __future__ import annotations

import math
from pathlib import Path

from .rails import UNUSED, Rail, module_power_w
from .sysfs import matching, read_number, read_text

HWMON = ('sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*', 'sys/class/hwmon/hwmon*')
IIO = ('sys/bus/i2c/drivers/ina3221x/*/iio:device*', 'sys/bus/i2c/drivers/ina3221x/*/iio_device')
HWMON_CHANNELS = (1, 2, 3)  # in4..in6 are shunt voltages, in7 is their sum: no rails
IIO_CHANNELS = (0, 1, 2)


class Ina3221:
    """The rails of a Jetson.

    One register costs about half a millisecond on the i2c bus, so read it from a thread, at
    20 Hz at most; the chip itself averages in between.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._hwmon: list[tuple[str, Path, int]] = []
        self._iio: list[tuple[str, Path, int]] = []
        self.probe()

    def probe(self) -> bool:
        """Look for the chips again (they may appear after us at boot); true if there are any."""
        self._hwmon = [
            (label, device, channel)
            for device in matching(self._root, *HWMON)
            if read_text(device / 'name') == 'ina3221'
            for channel in HWMON_CHANNELS
            if _is_rail(label := read_text(device / f'in{channel}_label'))
        ]
        self._iio = [
            (label, device, channel)
            for device in matching(self._root, *IIO)
            for channel in IIO_CHANNELS
            if _is_rail(label := read_text(device / f'rail_name_{channel}'))
        ]
        return bool(self._hwmon or self._iio)

    def rails(self) -> list[Rail]:
        """All connected rails; nan in those that do not answer."""
        return [_hwmon_rail(*place) for place in self._hwmon] + [
            _iio_rail(*place) for place in self._iio
        ]

    def power_w(self) -> float:
        """Input power of the module, watts."""
        return module_power_w(self.rails())


def _is_rail(label: str) -> bool:
    return bool(label) and label != UNUSED and not label.lower().startswith('sum of shunt')


def _hwmon_rail(label: str, device: Path, channel: int) -> Rail:
    volts = read_number(device / f'in{channel}_input', 1e-3)
    amperes = read_number(device / f'curr{channel}_input', 1e-3)
    return Rail(label, volts * amperes, volts, amperes)


def _iio_rail(label: str, device: Path, channel: int) -> Rail:
    volts = read_number(device / f'in_voltage{channel}_input', 1e-3)
    amperes = read_number(device / f'in_current{channel}_input', 1e-3)
    watts = read_number(device / f'in_power{channel}_input', 1e-3)
    return Rail(label, volts * amperes if math.isnan(watts) else watts, volts, amperes)
