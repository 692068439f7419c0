# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One line of NVIDIA's tegrastats to a `BoardState`."""

from __future__ import annotations

import math
import re

from .snapshot import BoardState

# Rails that carry the whole module, and, for boards without one, those that add up to it.
# On AGX Orin VDDQ_VDD2_1V8AO lies inside VIN_SYS_5V0 and must not be added again.
WHOLE = ('VDD_IN', 'POM_5V_IN', 'VIN')
SUMS = (
    ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
    ('GPU', 'CPU', 'SOC', 'CV', 'VDDRQ', 'SYS5V'),
)
# PMIC is a constant on old boards; the other two are of the carrier board, not of the chip.
NOT_THE_CHIP = ('PMIC', 'TBOARD', 'TDIODE')

_RAIL = re.compile(r'(?:^|\s)([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/\d+(?:mW)?(?=\s|$)')
_TEMPERATURE = re.compile(r'(?:^|\s)([A-Za-z][A-Za-z0-9_-]*)@(-?\d+(?:\.\d+)?)C(?=\s|$)')
_CORES = re.compile(r'(?:^|\s)CPU \[([^\]]*)\]')
_GPU = re.compile(r'(?:^|\s)GR3D(?:_FREQ)? (\d+)%')


def parse_tegrastats(line: str, *, received_s: float) -> BoardState:
    """Power, temperature and load from one line; nan for what it does not say.

    Args:
        line: as tegrastats prints it, of any JetPack from 3 to 6.
        received_s: `time.monotonic` seconds.
    """
    return BoardState(_power_w(line), _temperature_c(line), _load(line), received_s)


def _power_w(line: str) -> float:
    rails = {name: int(value) / 1000 for name, value in _RAIL.findall(line)}
    for name in WHOLE:
        if name in rails:
            return rails[name]
    for names in SUMS:
        if all(name in rails for name in names):
            return sum(rails[name] for name in names)
    return math.nan


def _temperature_c(line: str) -> float:
    readings = {name: float(value) for name, value in _TEMPERATURE.findall(line)}
    known = [
        value for name, value in readings.items()
        if name.upper() not in NOT_THE_CHIP and value > -50  # a sleeping sensor says -256
    ]
    return max(known, default=math.nan)


def _load(line: str) -> float:
    loads = []
    cores = _CORES.search(line)
    if cores:
        busy = [float(core.split('%')[0]) for core in cores.group(1).split(',') if '%' in core]
        if busy:
            loads.append(sum(busy) / len(busy) / 100)
    gpu = _GPU.search(line)
    if gpu:
        loads.append(int(gpu.group(1)) / 100)
    return max(loads, default=math.nan)
