# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A measured supply rail, and which rails make up the whole module."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .tegrastats import SUMS, WHOLE

UNUSED = 'NC'  # label of a channel that is not connected


@dataclass(frozen=True)
class Rail:
    """One rail at one moment; nan = unknown.

    Attributes:
        name: the label that the board gives it, e.g. ``VDD_IN``.
        power_w: watts.
        voltage_v: volts.
        current_a: amperes.
    """

    name: str
    power_w: float
    voltage_v: float = math.nan
    current_a: float = math.nan


def module_power_w(rails: Iterable[Rail]) -> float:
    """Input power of the module, watts; nan for an unknown set of rails or a sleeping one.

    Never the plain sum: on most Jetsons the other rails are fed by ``VDD_IN``, and on AGX Orin
    ``VDDQ_VDD2_1V8AO`` lies inside ``VIN_SYS_5V0`` (NVIDIA Jetson Linux guide r35).
    """
    watts = {rail.name: rail.power_w for rail in rails}
    for name in WHOLE:
        if name in watts:
            return watts[name]
    for names in SUMS:
        if all(name in watts for name in names):
            return sum(watts[name] for name in names)
    return math.nan
