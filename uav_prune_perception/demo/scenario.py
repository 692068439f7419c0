# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the aircraft during the demo: battery, board, and load on the cores."""

from __future__ import annotations

import lzma
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

NAN = float('nan')


@dataclass(frozen=True)
class Moment:
    """The state of the aircraft at one moment; NaN = not measured.

    ``burners`` is how many processes then really load this machine's cores.
    """

    phase: str
    battery_fraction: float
    battery_voltage_v: float
    power_w: float
    temperature_c: float
    load: float
    burners: int


class Scenario(Protocol):
    """A flight's script."""

    @property
    def duration_s(self) -> float:
        """Natural length of the flight."""

    @property
    def description(self) -> str:
        """Where the numbers come from, for the report."""

    def at(self, t_s: float) -> Moment:
        """The state ``t_s`` seconds after take-off."""


@dataclass(frozen=True)
class MadeUpScenario:
    """Nominal, a burst of load, relief, then the battery sags. Every number is made up."""

    duration_s: float = 75.0
    burners: int = 3
    description: str = 'made-up battery and board telemetry; the load on the cores is real'

    def at(self, t_s: float) -> Moment:
        """See `Scenario.at`."""
        t = t_s / self.duration_s
        edges = [0.0, 0.2, 0.5, 0.72]
        names = ['nominal', 'load rises', 'load gone', 'battery sags']
        phase = names[bisect_right(edges, max(t, 0.0)) - 1]
        rise = float(np.clip((t - 0.2) / 0.15, 0, 1)) if 0.2 <= t < 0.5 else 0.0
        sag = float(np.clip((t - 0.72) / 0.2, 0, 1))
        fraction = 0.80 - 0.20 * min(t, 0.72) - 0.56 * sag
        return Moment(
            phase, fraction, 3.2 + 0.9 * fraction, 6 + 8 * rise, 45 + 30 * rise,
            0.25 + 0.75 * rise, int(np.ceil(rise * self.burners)),
        )


class RecordedScenario:
    """A real battery discharge and a real tegrastats log, on one made-up clock.

    Battery: one Crazyflie flight, played in real time; the fraction is the cell voltage between
    3.0 V (empty) and 4.2 V (full). Board: tegrastats of a Jetson Orin Nano under a CPU and GPU
    burn, one line a second; after ``burn_s`` seconds the log starts again from its idle lines.
    While the log shows the board busy, burners load this machine's cores.
    """

    def __init__(self, telemetry: Path, *, flight: int = 101, burn_s: int = 35, burners: int = 3):
        """Read both recordings.

        Raises:
            FileNotFoundError: a recording is missing under ``telemetry``.
        """
        from uav_prune_perception.onboard.telemetry.tegrastats import parse_tegrastats

        recording = np.load(telemetry / 'crazyflie_155_flights.npz')
        self._volts = recording[f'mv_{flight:03d}'].astype(float) / 1000
        lines = read_lines(telemetry / 'tegrastats_orin_nano_burn.log')
        boards = [parse_tegrastats(line) for line in lines]
        self._boards = [board for board in boards if board is not None]
        self._burn_s, self._burners = burn_s, burners
        self.duration_s = len(self._volts) / 100
        self.description = (
            f'battery of Crazyflie flight {flight}, tegrastats of an Orin Nano under burn '
            '(both real, on one made-up clock); the load on the cores is real'
        )

    def at(self, t_s: float) -> Moment:
        """See `Scenario.at`."""
        here = int(np.clip(t_s * 100, 0, len(self._volts) - 1))
        volts = float(np.median(self._volts[max(0, here - 100): here + 1]))
        fraction = float(np.clip((volts - 3.0) / 1.2, 0, 1))
        board = self._boards[int(max(t_s, 0)) % self._burn_s]
        idle_w = min(item.power_w for item in self._boards[: self._burn_s])
        busy = board.power_w > 1.5 * idle_w
        phase = 'battery low' if fraction < 0.3 else 'board burns' if busy else 'nominal'
        return Moment(
            phase, fraction, volts, board.power_w, board.temperature_c, board.load,
            self._burners if busy else 0,
        )


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, xz-compressed or not."""
    if path.suffix == '.xz':
        return lzma.decompress(path.read_bytes()).decode().splitlines()
    return path.read_text(encoding='utf-8').splitlines()
