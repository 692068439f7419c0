# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What this machine offers, for people: every source, its readings, and what is missing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .cpu_load import CpuLoad
from .gpu_load import GpuLoad
from .ina238 import Ina238
from .ina3221 import Ina3221
from .machine import device_name, l4t_release
from .nvpmodel import NvpModel
from .overcurrent import PATTERN as OVER_CURRENT
from .rails import Rail
from .rapl import Rapl
from .raspberry_pi import RaspberryPi, Run, vcgencmd
from .sysfs import matching, read_number
from .thermal import ThermalZones

MEASURE_S = 0.2  # RAPL and the CPU's load are differences


@dataclass(frozen=True)
class Reading:
    """One line of the inventory.

    Attributes:
        source: e.g. 'INA3221'.
        name: e.g. 'VDD_IN'.
        value: number in ``unit``, or words; nan = not readable now.
        unit: 'W', 'C', 'Hz', 'events', '' for words and shares.
        note: what there is to know about it.
    """

    source: str
    name: str
    value: float | str
    unit: str = ''
    note: str = ''


def inventory(
    root: Path = Path('/'),
    *,
    run: Run = vcgencmd,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Reading]:
    """Everything this machine offers. Takes `MEASURE_S`; never raises for a sensor's sake."""
    rapl, cpu = Rapl(root), CpuLoad(root)
    rapl.rails()
    sleep(MEASURE_S)
    readings = [*_machine(root), *_jetson_power(root), *_rapl(rapl), *_pi(root, run)]
    if not any(reading.unit == 'W' for reading in readings):
        readings.append(Reading('power', 'module', math.nan, 'W', 'no power sensor found'))
    readings += [*_thermal(root), *_over_current(root), *_gpu(root)]
    readings.append(Reading('CPU', 'load', cpu.load(), '', 'mean over the cores'))
    return readings


def _machine(root: Path) -> Iterator[Reading]:
    yield Reading('machine', 'model', device_name(root))
    release = l4t_release(root)
    if release:
        yield Reading('machine', 'Jetson Linux', release)
    mode = NvpModel(root).mode()
    if mode is not None:
        note = 'read only; profiles hold for one mode'
        yield Reading('nvpmodel', mode.name or 'mode', float(mode.number), '', note)


def _jetson_power(root: Path) -> Iterator[Reading]:
    for name, source in (('INA3221', Ina3221(root)), ('INA238', Ina238(root))):
        rails = source.rails()
        yield from _rails(name, rails)
        if rails:
            watts = source.power_w()
            note = 'module input' if not math.isnan(watts) else 'rails of an unknown board'
            yield Reading(name, 'total', watts, 'W', note)


def _rapl(rapl: Rapl) -> Iterator[Reading]:
    note = 'readable by root only' if rapl.denied else 'processor package'
    for rail in rapl.rails():
        yield Reading('RAPL', rail.name, rail.power_w, 'W', note)


def _pi(root: Path, run: Run) -> Iterator[Reading]:
    pi = RaspberryPi(root, run)
    yield from _rails('Raspberry Pi PMIC', pi.rails())
    flags = pi.throttling()
    if flags is not None:
        yield Reading('Raspberry Pi', 'throttling now', ', '.join(flags.now) or 'none')
        yield Reading('Raspberry Pi', 'since boot', ', '.join(flags.since_boot) or 'none')


def _rails(source: str, rails: list[Rail]) -> Iterator[Reading]:
    for rail in rails:
        note = f'{rail.voltage_v:.2f} V, {rail.current_a:.2f} A'
        yield Reading(source, rail.name, rail.power_w, 'W', note)


def _thermal(root: Path) -> Iterator[Reading]:
    for zone in ThermalZones(root).zones():
        notes = [] if zone.of_chip else ['not of the chip, left out']
        if not math.isnan(zone.throttle_c):
            notes.append(f'throttles at {zone.throttle_c:.0f} C')
        if math.isnan(zone.temperature_c):
            notes.append('asleep')
        yield Reading('thermal', zone.name, zone.temperature_c, 'C', ', '.join(notes))


def _over_current(root: Path) -> Iterator[Reading]:
    for path in matching(root, OVER_CURRENT):
        note = 'since boot; only a rise counts'
        yield Reading('over-current', path.name.split('_')[0], read_number(path), 'events', note)


def _gpu(root: Path) -> Iterator[Reading]:
    gpu = GpuLoad(root)
    if not math.isnan(gpu.load()):
        yield Reading('GPU', 'load', gpu.load())
    clock = gpu.clock()
    if not math.isnan(clock.current_hz):
        note = f'{clock.governor}, at most {clock.max_hz / 1e6:.0f} MHz'
        yield Reading('GPU', 'clock', clock.current_hz, 'Hz', note)
