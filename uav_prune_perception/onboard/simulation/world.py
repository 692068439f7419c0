# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated drone: what every level would cost at every frame, and what the sensors say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

IDLE_W = 5.5  # Orin Nano, VDD_IN without load: shared/data, tegrastats_orin_nano_burn.log
BUSY_W = 8.3  # what full load adds there (13.8 W)
TICK_S = 0.1
OVERHEAD_MS = 1.5  # of a frame's own time: preprocessing and decoding


@dataclass(frozen=True)
class SimulatedLevel:
    """A level as the ladder states it.

    Attributes:
        name: in the ladder.
        kept_macs: 0..1.
        accuracy: 0..1.
        profile_ms: inference time that the warm-up measured (not exactly the truth).
        profile_j: energy of one inference that the profile states (not exactly the truth).
        energy_j: the true energy.
    """

    name: str
    kept_macs: float
    accuracy: float
    profile_ms: float
    profile_j: float
    energy_j: float


@dataclass(frozen=True)
class Cooler:
    """First-order thermal plant with a throttling trip point."""

    c_per_w: float = 4.0
    time_s: float = 40.0
    trip_c: float = 80.0
    release_c: float = 77.0
    slow_down: float = 1.6  # while throttled


@dataclass(frozen=True)
class Battery:
    """Energy for the whole aircraft; the mission asks for ``target_s``."""

    capacity_wh: float
    start_fraction: float
    reserve_fraction: float
    target_s: float


@dataclass
class World:
    """One scenario with one seed.

    Attributes:
        name: of the scenario.
        seed: of everything random.
        levels: heaviest first.
        deadline_ms: from arrival to result.
        arrival_s: float64 [frames].
        latency_ms: float [levels, frames]: processing time of each level, were it to run.
        accuracy: float [levels, frames]: of an answer to this frame.
        ambient_c: float [frames].
        other_w: float [frames]: power of what else runs on the board.
        hover_w: float [frames]: power of motors and the rest of the aircraft.
        power_limit_w: float [frames]; inf = none.
        power_dead: bool [frames]: the power sensor says nan.
        power_frozen: bool [frames]: it repeats its last word.
        cooler: None = temperature is constant.
        battery: None = outlasts the flight.
        steps_s: moments at which conditions change for the worse, for the recovery time.
        settings: options for policies, by name; each takes those that it has.
        staleness_s: an answer's worth falls to 37 % in this time.
        switch_ms: the first frame of another level takes this much longer.
    """

    name: str
    seed: int
    levels: tuple[SimulatedLevel, ...]
    deadline_ms: float
    arrival_s: np.ndarray
    latency_ms: np.ndarray
    accuracy: np.ndarray
    ambient_c: np.ndarray
    other_w: np.ndarray
    hover_w: np.ndarray
    power_limit_w: np.ndarray
    power_dead: np.ndarray
    power_frozen: np.ndarray
    cooler: Cooler | None = None
    battery: Battery | None = None
    steps_s: tuple[float, ...] = ()
    settings: dict[str, float] = field(default_factory=dict)
    staleness_s: float = 0.3
    switch_ms: float = 2.0

    @property
    def frames(self) -> int:
        """Number of camera frames."""
        return len(self.arrival_s)

    @property
    def period_s(self) -> np.ndarray:
        """Time from each frame to the next, float64 [frames]."""
        return np.diff(self.arrival_s, append=2 * self.arrival_s[-1] - self.arrival_s[-2])

    def draw_w(self, level: int, every: int) -> np.ndarray:
        """Module power while this configuration runs, float64 [frames]."""
        period_s = self.period_s
        # A level slower than the camera does fewer frames; a busy worker is never busier.
        rate_hz = 1.0 / np.maximum(every * period_s, self.latency_ms[level] * 1e-3)
        return IDLE_W + self.other_w + self.levels[level].energy_j * rate_hz

    def fade(self) -> np.ndarray:
        """Worth that an answer keeps from each frame to the next, float64 [frames]."""
        return np.exp(-self.period_s / self.staleness_s)

    @property
    def energy_budget_j(self) -> float:
        """Of the module, for the mission; inf without a battery."""
        if self.battery is None:
            return math.inf
        whole = self.battery.capacity_wh * 3600.0
        usable = (self.battery.start_fraction - self.battery.reserve_fraction) * whole
        return usable - float(np.sum(self.hover_w * self.period_s))
