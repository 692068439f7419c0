# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Thermal zones: how hot the chip is, and where the kernel starts to throttle it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .sysfs import matching, read_number, read_text

# A constant 100 C on old Jetsons; the others are of the carrier board, a radio or a battery.
NOT_THE_CHIP = ('pmic', 'tboard', 'tdiode', 'iwlwifi', 'battery', 'acpitz', 'int3400')
WARMEST = 'tj-thermal'  # Orin's own maximum over all sensors
COLDEST_C, HOTTEST_C = -40.0, 150.0  # a sleeping sensor says -256
THROTTLES = ('passive', 'hot')  # kinds of trip points that slow the machine down


@dataclass(frozen=True)
class Zone:
    """One thermal zone.

    Attributes:
        name: the zone's type.
        temperature_c: nan when asleep or implausible.
        throttle_c: lowest trip point at which the kernel slows down; nan = none.
        of_chip: false for sensors that say nothing about the processor.
    """

    name: str
    temperature_c: float
    throttle_c: float
    of_chip: bool


class ThermalZones:
    """The thermal zones of this machine."""

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._places: list[tuple[str, Path, float]] = []
        self.probe()

    def probe(self) -> bool:
        """Look for zones and their trip points again; true if there are any."""
        self._places = [
            (read_text(place / 'type'), place, _throttle_c(place))
            for place in matching(self._root, 'sys/class/thermal/thermal_zone*')
        ]
        return bool(self._places)

    def zones(self) -> list[Zone]:
        """All zones, also those that are asleep."""
        return [
            Zone(name, _plausible(read_number(place / 'temp', 1e-3)), throttle_c, _of_chip(name))
            for name, place, throttle_c in self._places
        ]

    def temperature_c(self) -> float:
        """The chip's warmest sensor, degrees Celsius."""
        return warmest(self.zones()).temperature_c

    def throttle_c(self) -> float:
        """Lowest throttling trip point of the chip's zones, degrees Celsius."""
        known = [c for name, _, c in self._places if _of_chip(name) and not math.isnan(c)]
        return min(known, default=math.nan)


def warmest(zones: list[Zone]) -> Zone:
    """The zone to go by: ``tj-thermal`` where it answers, else the warmest of the chip."""
    known = [zone for zone in zones if zone.of_chip and not math.isnan(zone.temperature_c)]
    for zone in known:
        if zone.name == WARMEST:
            return zone
    return max(
        known, key=lambda zone: zone.temperature_c, default=Zone('', math.nan, math.nan, False)
    )


def _of_chip(name: str) -> bool:
    return not name.lower().startswith(NOT_THE_CHIP)


def _plausible(celsius: float) -> float:
    return celsius if COLDEST_C < celsius < HOTTEST_C else math.nan


def _throttle_c(place: Path) -> float:
    points = []
    for kind in matching(place, 'trip_point_*_type'):
        if read_text(kind) in THROTTLES:
            temp = kind.with_name(kind.name.replace('_type', '_temp'))
            points.append(_plausible(read_number(temp, 1e-3)))
    # A trip point of 0 C or below is one that the firmware has switched off.
    return min((c for c in points if c > 0), default=math.nan)
