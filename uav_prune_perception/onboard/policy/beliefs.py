# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the calibrated policy has learnt of latency, power, heat and battery."""

from __future__ import annotations

import math

from .base import LevelInfo, Observation
from .calibrated_options import CalibratedOptions
from .endurance import Endurance
from .power_model import SCALE_STD, PowerModel
from .slow_down import SlowDown
from .thermal_model import ThermalModel

OVERHEAD_FRAMES = 60
UNMEASURED_SCALE_STD = 0.6
THERMAL = ('thermal_c_per_w', 'thermal_time_s', 'thermal_horizon_s')
ENERGY = ('target_endurance_s', 'battery_capacity_wh', 'battery_reserve_fraction')


class Beliefs:
    """The four models and their bookkeeping.

    Attributes:
        slow_down: of inference against the profiles.
        overhead_ms: what a frame takes besides inference.
        power: of the board.
        thermal: of the chip.
        endurance: of the battery.
        power_heard_s: time of the last believable power reading; inf = never heard.
    """

    def __init__(self, levels: tuple[LevelInfo, ...], options: CalibratedOptions) -> None:
        self.slow_down = SlowDown(len(levels))
        measured = all(level.energy_j > 0 for level in levels if level.usable)
        self.power = PowerModel(scale_std=SCALE_STD if measured else UNMEASURED_SCALE_STD)
        self.overhead_ms = 0.0
        self.power_heard_s = math.inf
        self._heard: set[str] = set()
        self._power_alive = True
        self._options = options
        self.thermal = ThermalModel(*(getattr(options, name) for name in THERMAL))
        self.endurance = Endurance(*(getattr(options, name) for name in ENERGY))

    def apply(self, options: CalibratedOptions) -> None:
        """Take over options; only a model whose own settings changed begins anew."""
        old, self._options = self._options, options
        if any(getattr(old, name) != getattr(options, name) for name in THERMAL):
            self.thermal = ThermalModel(*(getattr(options, name) for name in THERMAL))
        if any(getattr(old, name) != getattr(options, name) for name in ENERGY):
            self.endurance = Endurance(*(getattr(options, name) for name in ENERGY))

    def learn(self, o: Observation) -> None:
        """From the frames and the temperature of one tick."""
        limit_ms = self._options.deadline_ms - self.overhead_ms
        profile_ms = [level.latency_ms for level in o.levels]
        for frame in o.frames:
            extra_ms = max(0.0, frame.total_ms - frame.inference_ms)
            share = 1.0 / OVERHEAD_FRAMES if self.slow_down.frames else 1.0
            self.overhead_ms += share * (extra_ms - self.overhead_ms)
            observed_ms = frame.total_ms - self.overhead_ms
            if limit_ms > 0:
                self.slow_down.calibrate(frame.level, observed_ms, limit_ms, profile_ms)
            self.slow_down.observe(frame.level, observed_ms, profile_ms[frame.level])
        if not math.isnan(o.board.temperature_c):
            self._heard.add('temperature')
        if not math.isnan(o.battery.fraction):
            self._heard.add('battery')
        self.thermal.update(o.board.temperature_c, o.now_s, o.board.power_w)

    def learn_power(self, o: Observation, profile_w: float) -> None:
        """From power and battery of one tick, while ``profile_w`` is running by the profile."""
        reading_w = self.power.alive_w(o.board.power_w, o.now_s)
        self._power_alive = not math.isnan(reading_w)
        if self._power_alive:
            self._heard.add('power')
            self.power_heard_s = o.now_s
        self.power.update(reading_w, profile_w, o.now_s)
        self.endurance.update(o.battery, self.power.scale * profile_w, o.now_s)

    def silent(self, o: Observation) -> str:
        """A sensor that once spoke and that a limit in force depends on, in words; '' = none."""
        options = self._options
        for name, needed, alive in (
            ('temperature', options.temperature_limit_c, not math.isnan(o.board.temperature_c)),
            ('power', options.power_limit_w, self._power_alive),
            ('battery', options.target_endurance_s or options.battery_low_fraction,
             not math.isnan(o.battery.fraction)),
        ):
            if needed and name in self._heard and not alive:
                return f'{name} is not reported any more'
        return ''
