# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the aircraft during the demo: battery, board, and load on the cores."""

from __future__ import annotations

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


#: Voltage of the Crazyflie's one cell under load: empty, full.
LOADED_CELL_V = (3.3, 3.8)
LOW = 0.3
#: Scenario second -> line of the tegrastats log: GPU idle, burning, idle again, burning again.
LOG_SECONDS = (0.0, 22.0, 70.0, 70.01, 100.0, 130.0)
LOG_LINES = (0.0, 11.0, 59.0, 0.0, 10.9, 41.0)


class RecordedScenario:
    """A real battery discharge and a real tegrastats log, on one made-up clock.

    Battery: one Crazyflie flight; the fraction is its cell's voltage between `LOADED_CELL_V`.
    Board: tegrastats of a Jetson Orin Nano with busy cores, its GPU idle and then burning, played
    twice. While the log shows the board busy, burners load this machine's cores.
    """

    def __init__(self, telemetry: Path, *, flight: int = 72, burners: int = 3) -> None:
        """Read both recordings.

        Raises:
            FileNotFoundError: a recording is missing under ``telemetry``.
        """
        from uav_prune_perception.onboard.telemetry.tegrastats import parse_tegrastats

        recording = np.load(telemetry / 'crazyflie_155_flights.npz')
        self._volts = recording[f'mv_{flight:03d}'].astype(float) / 1000
        lines = (telemetry / 'tegrastats_orin_nano_burn.log').read_text().splitlines()
        self._boards = [parse_tegrastats(line, received_s=0.0) for line in lines]
        self._idle_w = min(board.power_w for board in self._boards)
        self._burners = burners
        self.duration_s = len(self._volts) / 100
        # The voltage wavers with the motors: low is from where it stays low.
        seconds = range(int(self.duration_s))
        self._low_from_s = max(t for t in seconds if self._battery(t)[1] >= LOW) + 1
        self.description = (
            f'battery of Crazyflie flight {flight}, tegrastats of an Orin Nano under burn '
            '(both real, on one made-up clock); the load on the cores is real'
        )

    def at(self, t_s: float) -> Moment:
        """See `Scenario.at`."""
        volts, fraction = self._battery(t_s)
        board = self._boards[int(np.interp(t_s, LOG_SECONDS, LOG_LINES))]
        busy = board.power_w > 1.5 * self._idle_w
        low = 'battery low, ' if t_s >= self._low_from_s else ''
        phase = low + ('GPU burns' if busy else 'GPU idle')
        return Moment(
            phase, fraction, volts, board.power_w, board.temperature_c, board.load,
            self._burners if busy else 0,
        )

    def _battery(self, t_s: float) -> tuple[float, float]:
        """Volts (median of the last two seconds) and fraction."""
        here = int(np.clip(t_s * 100, 0, len(self._volts) - 1))
        volts = float(np.median(self._volts[max(0, here - 200): here + 1]))
        empty, full = LOADED_CELL_V
        return volts, float(np.clip((volts - empty) / (full - empty), 0, 1))
