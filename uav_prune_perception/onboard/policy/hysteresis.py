# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds with hysteresis on temperature, latency, power and battery."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .base import (
    BATTERY,
    DEADLINE,
    HOLD,
    POWER,
    RECOVERED,
    TEMPERATURE,
    Decision,
    LevelInfo,
    Observation,
)
from .battery_zone import CRITICAL, BatteryZone
from .dwell import Dwell


@dataclass(frozen=True)
class HysteresisOptions:
    """Options of `HysteresisPolicy`; 0 switches a limit off.

    Attributes:
        deadline_ms: a frame's processing (p95) must stay under this.
        latency_up_fraction: step up only if the heavier level is predicted to need no more
            than this share of the deadline.
        min_frames: decide nothing on the latency of fewer frames.
        battery_low_fraction: below it, at most the middle level runs.
        battery_critical_fraction: below it, only the lightest level runs.
        battery_hysteresis: the battery must rise this far above a threshold to lift the cap.
        power_limit_w: the board's power must stay under this.
        power_margin_w: step up only this far under the limit.
        temperature_limit_c: the board's temperature must stay under this.
        temperature_margin_c: step up only this far under the limit.
        settle_s: after a change, power and temperature get this long to follow before they
            may cause a further step down.
        dwell_up_s: every condition for a step up must hold this long without a break.
        max_dwell_s: the dwell doubles after each step up that had to be taken back, up to this.
    """

    deadline_ms: float = 50.0
    latency_up_fraction: float = 0.8
    min_frames: int = 5
    battery_low_fraction: float = 0.3
    battery_critical_fraction: float = 0.15
    battery_hysteresis: float = 0.05
    power_limit_w: float = 0.0
    power_margin_w: float = 1.0
    temperature_limit_c: float = 85.0
    temperature_margin_c: float = 5.0
    settle_s: float = 2.0
    dwell_up_s: float = 5.0
    max_dwell_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError naming the option and its range."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f'{name} is {value}, must be a number from 0')
        for name in ('latency_up_fraction', 'battery_low_fraction', 'battery_hysteresis'):
            if getattr(self, name) > 1:
                raise ValueError(f'{name} is {getattr(self, name)}, must be 0..1')
        if self.battery_critical_fraction > self.battery_low_fraction:
            raise ValueError(
                f'battery_critical_fraction is {self.battery_critical_fraction}, must not be '
                f'above battery_low_fraction {self.battery_low_fraction}'
            )


class HysteresisPolicy:
    """Down at once, up one level at a time and only after a dwell.

    Nothing is decided on nan: a sensor that was never heard is left out; one that fell silent
    keeps the caps that it caused and forbids stepping up.
    """

    def __init__(self, options: HysteresisOptions | None = None) -> None:
        self.options = options or HysteresisOptions()
        self._active = -1
        self._changed_s = -math.inf
        self._clear_since: float | None = None
        self._battery_zone = BatteryZone()
        self._dwell = Dwell(self.options.dwell_up_s, self.options.max_dwell_s)
        self._heard: set[str] = set()

    def decide(self, observation: Observation) -> Decision:
        """One tick; see the class."""
        o = observation
        self._note(o)
        demands = [
            demand
            for demand in (
                self._temperature(o), self._deadline(o), self._power(o), self._battery(o)
            )
            if demand is not None
        ]
        if demands:
            self._clear_since = None
            self._dwell.stepped_down(o.now_s)
            return max(demands, key=lambda demand: demand.level)  # first of equals: most urgent
        self._dwell.forgive(o.now_s)
        return self._step_up(o)

    def _note(self, o: Observation) -> None:
        """Remember what one tick alone cannot show."""
        if o.active != self._active:
            if self._active >= 0:
                self._changed_s = o.now_s
            self._active, self._clear_since = o.active, None
        readings = {
            'temperature': o.board.temperature_c,
            'power': o.board.power_w,
            'battery': o.battery.fraction,
        }
        self._heard |= {name for name, value in readings.items() if not math.isnan(value)}
        options = self.options
        self._battery_zone.update(
            o.battery.fraction, options.battery_low_fraction, options.battery_critical_fraction,
            options.battery_hysteresis,
        )
        self._dwell.change(options.dwell_up_s, options.max_dwell_s)

    def _temperature(self, o: Observation) -> Decision | None:
        limit, value = self.options.temperature_limit_c, o.board.temperature_c
        target = _lighter(o)
        if not limit or target is None or not value > limit or not self._settled(o):
            return None
        reason = f'temperature {value:.0f} C over limit {limit:.0f} C: step down to {target.name}'
        return Decision(target.index, TEMPERATURE, reason)

    def _power(self, o: Observation) -> Decision | None:
        limit, value = self.options.power_limit_w, o.board.power_w
        target = _lighter(o)
        if not limit or target is None or not value > limit or not self._settled(o):
            return None
        reason = f'power {value:.1f} W over limit {limit:.1f} W: step down to {target.name}'
        return Decision(target.index, POWER, reason)

    def _deadline(self, o: Observation) -> Decision | None:
        deadline, p95 = self.options.deadline_ms, o.latency.p95_ms
        lighter = [level for level in o.levels if level.usable and level.index > o.active]
        if not deadline or not lighter or o.latency.frames < self.options.min_frames:
            return None
        if not p95 > deadline:
            return None
        fitting = [level for level in lighter if predict_p95_ms(o, level) <= deadline]
        target = fitting[0] if fitting else lighter[-1]
        reason = (
            f'p95 latency {p95:.0f} ms over deadline {deadline:.0f} ms: step down to {target.name}'
        )
        return Decision(target.index, DEADLINE, reason)

    def _battery(self, o: Observation) -> Decision | None:
        cap = self._battery_cap(o)
        if cap.index <= o.active:
            return None
        options = self.options
        name, threshold = (
            ('critical', options.battery_critical_fraction)
            if self._battery_zone.zone == CRITICAL
            else ('low', options.battery_low_fraction)
        )
        reason = (
            f'battery {_percent(o.battery.fraction)} is {name} (under {threshold:.0%}): '
            f'step down to {cap.name}'
        )
        return Decision(cap.index, BATTERY, reason)

    def _battery_cap(self, o: Observation) -> LevelInfo:
        """The heaviest level that the battery allows."""
        usable = [level for level in o.levels if level.usable] or [o.levels[o.active]]
        return self._battery_zone.heaviest(usable)

    def _settled(self, o: Observation) -> bool:
        return o.now_s - self._changed_s >= self.options.settle_s

    def _step_up(self, o: Observation) -> Decision:
        active = o.levels[o.active]
        heavier = [level for level in o.levels if level.usable and level.index < o.active]
        if not heavier:
            self._clear_since = None
            return Decision(o.active, HOLD, f'{active.name} is the heaviest usable level')
        target = heavier[-1]
        obstacle = self._obstacle(o, target)
        if obstacle:
            self._clear_since = None
            return Decision(o.active, HOLD, f'stay at {active.name}: {obstacle}')
        if self._clear_since is None:
            self._clear_since = o.now_s
        waited, dwell = o.now_s - self._clear_since, self._dwell.seconds
        if waited < dwell:
            reason = f'{target.name} would fit, waiting {waited:.1f} of {dwell:.1f} s'
            return Decision(o.active, HOLD, f'stay at {active.name}: {reason}')
        text = 'all limits kept'
        if self.options.deadline_ms:
            text = (
                f'{target.name} is predicted at p95 {predict_p95_ms(o, target):.0f} ms, '
                f'deadline {self.options.deadline_ms:.0f} ms'
            )
        self._dwell.stepped_up(o.now_s)
        return Decision(target.index, RECOVERED, f'{text}, for {waited:.1f} s: step up')

    def _obstacle(self, o: Observation, target: LevelInfo) -> str:
        """What forbids stepping up to ``target``; '' = nothing."""
        return (
            self._sensor_obstacle(o) or self._battery_obstacle(o, target)
            or self._latency_obstacle(o, target)
        )

    def _sensor_obstacle(self, o: Observation) -> str:
        options, board = self.options, o.board
        for name, unit, value, limit, margin in (
            ('temperature', 'C', board.temperature_c, options.temperature_limit_c,
             options.temperature_margin_c),
            ('power', 'W', board.power_w, options.power_limit_w, options.power_margin_w),
        ):
            if not limit or name not in self._heard or value <= limit - margin:
                continue
            if math.isnan(value):
                return f'{name} is not reported any more'
            return f'{name} {value:.1f} {unit}, must be {limit - margin:.1f} {unit} or less'
        return ''

    def _battery_obstacle(self, o: Observation, target: LevelInfo) -> str:
        fraction = o.battery.fraction
        if not self.options.battery_low_fraction or 'battery' not in self._heard:
            return ''
        if math.isnan(fraction):
            return 'battery is not reported any more'
        if self._battery_cap(o).index > target.index:
            return f'battery {_percent(fraction)} does not allow {target.name}'
        return ''

    def _latency_obstacle(self, o: Observation, target: LevelInfo) -> str:
        options = self.options
        if not options.deadline_ms:
            return ''
        if o.latency.frames < options.min_frames:
            return f'only {o.latency.frames} recent frames'
        predicted = predict_p95_ms(o, target)
        allowed = options.deadline_ms * options.latency_up_fraction
        if not predicted <= allowed:
            return f'{target.name} is predicted at p95 {predicted:.0f} ms, over {allowed:.0f} ms'
        return ''


def predict_p95_ms(o: Observation, level: LevelInfo) -> float:
    """The p95 of the processing if ``level`` ran now; nan when the active one tells too little.

    The slow-down of the active level's inference against its warm-up applies to every level;
    what is not inference stays as it is; the tail keeps its ratio to the median.
    """
    latency, active = o.latency, o.levels[o.active]
    if not latency.p50_ms > 0 or not active.latency_ms > 0:
        return math.nan
    slow_down = latency.inference_ms / active.latency_ms
    p50 = latency.p50_ms - latency.inference_ms + level.latency_ms * slow_down
    return p50 * latency.p95_ms / latency.p50_ms


def _lighter(o: Observation) -> LevelInfo | None:
    """The next usable level below the active one."""
    lighter = [level for level in o.levels if level.usable and level.index > o.active]
    return lighter[0] if lighter else None


def _percent(fraction: float) -> str:
    return 'unknown' if math.isnan(fraction) else f'{fraction:.0%}'
