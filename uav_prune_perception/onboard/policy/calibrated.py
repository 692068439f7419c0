# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The default policy: the most valuable level that keeps deadline, power, energy and heat."""

from __future__ import annotations

import math

from .base import (
    ALARM,
    BATTERY,
    DEADLINE,
    ENDURANCE,
    HOLD,
    POWER,
    RECOVERED,
    TEMPERATURE,
    Decision,
    Observation,
)
from .battery_zone import BatteryZone
from .beliefs import Beliefs
from .calibrated_options import CalibratedOptions
from .dwell import Dwell
from .forecast import Forecast, forecasts

MIN_FRAMES = 5  # before these the deadline is no reason to leave a level
NEAR_BEST = 0.05  # where no level keeps the deadline often enough, the best attainable counts
HOPELESS = 0.1  # as a probability of keeping the deadline
SMOOTH_S = 2.0  # a step up goes by the mean of the probability over this, not by its lowest
ALARM_FRESH_S = 3.0
ALARM_SAVES = 0.85  # an alarm must be answered by this share of the inference's watts or less
RESERVE_SIGMA = 1.0  # power must be this sure to stay under its limit before a step up
KEEP_SIGMA = 0.3
SILENT_S = 5.0  # a power sensor silent for longer makes careful: see RESERVE_SIGMA
# The battery is an integral: a small deficit is made up for later.
ENDURANCE_KEEP_W, ENDURANCE_UP_W = 0.6, 0.15
MARGIN_W = 0.1
PRICE = 5.0
SAVES = 0.98  # of the watts that are drawn now: what counts as less
LEAST_PATIENCE, MOST_PATIENCE = 0.6, 8.0
JUDGED_S = 1.0
UP_GAIN = 0.25


class CalibratedPolicy:
    """Down at once, up after a dwell, in the order of safety: alarm, heat, deadline, power.

    Nothing is decided on nan. A sensor never heard is left out; one that fell silent (or
    repeats one value) leaves its model running with growing doubt, and forbids stepping up.
    """

    def __init__(self, options: CalibratedOptions | None = None) -> None:
        self.options = options or CalibratedOptions()
        self._beliefs: Beliefs | None = None
        self._applied = self.options
        self._chosen: Forecast | None = None
        self._every = 1
        self._dwell = Dwell(self.options.dwell_up_s, self.options.max_dwell_s)
        self._battery = BatteryZone()
        self._up_since: float | None = None
        self._alarm_s = self._no_up_until_s = -math.inf
        self._fastest_ms = 0.0
        self._time_s = -math.inf
        self._smoothed: dict[tuple[int, int], float] = {}
        self._gains: dict[tuple[int, int], float] = {}
        self._patience = LEAST_PATIENCE
        self._left: tuple[int, int, float] | None = None

    @property
    def stated(self) -> float:
        """The probability of keeping the deadline that stood behind the last decision."""
        return self._chosen.in_time if self._chosen else math.nan

    def latency_quantile_ms(self, probability: float, observation: Observation) -> float:
        """What the active level's frames stay under with ``probability``; nan before any."""
        if self._beliefs is None:
            return math.nan
        profile_ms = [level.latency_ms for level in observation.levels]
        active, beliefs = observation.active, self._beliefs
        quantile = beliefs.slow_down.quantile_ms(probability, active, active, profile_ms)
        return quantile + beliefs.overhead_ms

    @property
    def beliefs(self) -> Beliefs:
        """What has been learnt. Raises RuntimeError before the first `decide`."""
        if self._beliefs is None:
            raise RuntimeError('nothing has been observed yet')
        return self._beliefs

    def decide(self, observation: Observation) -> Decision:
        """One tick: learn, forecast, choose."""
        o, options = observation, self.options
        if self._beliefs is None:
            self._beliefs = Beliefs(o.levels, options)
        elif self._applied is not options:
            self._beliefs.apply(options)
            self._dwell.change(options.dwell_up_s, options.max_dwell_s)
        self._applied, beliefs = options, self._beliefs
        self._battery.update(
            o.battery.fraction, options.battery_low_fraction, options.battery_critical_fraction,
            options.battery_hysteresis,
        )
        beliefs.learn(o)
        choices = forecasts(o, beliefs.slow_down, beliefs.overhead_ms, options)
        active = self._running(o, choices)
        if active is None:  # its profile is missing: whatever has one is better known
            target = choices[0].level if choices else o.levels[o.active]
            return Decision(target.index, HOLD, f'{o.levels[o.active].name} has no profile')
        beliefs.learn_power(o, active.watts)
        self._smooth(o, choices)
        return self._choose(o, choices, active)

    def _running(self, o: Observation, choices: list[Forecast]) -> Forecast | None:
        """The forecast of what runs now; somebody else may have changed level or options."""
        here = [choice for choice in choices if choice.level.index == o.active]
        for choice in here:
            if choice.every == self._every:
                return choice
        self._every = 1
        return here[0] if here else None

    def _smooth(self, o: Observation, choices: list[Forecast]) -> None:
        """Mean of each choice's probability over the last seconds.

        It wavers with every frame where jitter is heavy; waiting until it never falls below the
        mark would be waiting for ever.
        """
        elapsed_s, self._time_s = o.now_s - self._time_s, o.now_s
        share = min(1.0, elapsed_s / SMOOTH_S) if elapsed_s >= 0 else 1.0
        last, self._smoothed = self._smoothed, {}
        for choice in choices:
            key = choice.key
            old = last.get(key, choice.in_time)
            self._smoothed[key] = choice.smoothed = old + share * (choice.in_time - old)

    def _choose(self, o: Observation, choices: list[Forecast], active: Forecast) -> Decision:
        alarmed = self._alarm(o, choices, active)
        if alarmed is not None:
            return alarmed
        attainable = max(choice.in_time for choice in choices)
        self._fastest_ms = min(choice.level.latency_ms for choice in choices)
        self._judge_last_step(o, choices, active)
        wrong = self._obstacle(o, active, active, attainable, keep=True)
        if wrong is not None and wrong[1] != DEADLINE:
            return self._step_down(o, choices, active, attainable, wrong)
        self._accumulate(o, choices, active, attainable)
        if self.beliefs.slow_down.frames >= MIN_FRAMES:
            lighter = self._lighter(o, choices, active, attainable, late=wrong is not None)
            if lighter is not None:
                return lighter
        return self._step_up(o, choices, active, attainable)

    def _accumulate(self, o: Observation, choices: list[Forecast], active: Forecast,
                    attainable: float) -> None:
        """Add up what each choice would have gained over what runs; a loss is never owed.

        (A CUSUM test: it answers to what lasts and not to what wavers.)
        """
        frames = len(o.frames) * active.every
        mark = min(self.options.deadline_probability, attainable - NEAR_BEST)
        base = _net(active, mark)
        hopeless = attainable < HOPELESS  # then answers shall at least be young
        last, self._gains = self._gains, {}
        for choice in choices:
            key = choice.key
            gain = last.get(key, 0.0) + frames * (_net(choice, mark) - base)
            if hopeless and choice.level.latency_ms < active.level.latency_ms:
                gain += frames * active.worth
            self._gains[key] = gain if gain > 0.0 else 0.0

    def _lighter(self, o: Observation, choices: list[Forecast], active: Forecast,
                 attainable: float, *, late: bool) -> Decision | None:
        """A step to something lighter that would have been better for long enough.

        What runs may be so slow that its answers are worth less than a lighter level's, because
        they come late or not for every picture. When it is ``late``, that is a step down all the
        same: at once, not after the wait of a step up.
        """
        enough = self._patience * active.worth
        ready = [
            choice for choice in choices
            if choice is not active and (
                choice.worth <= active.worth
                or (late and choice.level.latency_ms < active.level.latency_ms)
            )
            and self._gains[choice.key] >= enough
            and (choice.value > active.value or attainable < HOPELESS)
        ]
        ready = [c for c in ready
                 if (found := self._obstacle(o, c, active, attainable, keep=False)) is None
                 or found[1] == DEADLINE]
        if not ready:
            return None
        target = max(ready, key=lambda choice: (choice.value, -choice.watts))
        if attainable < HOPELESS:
            target = min(ready, key=lambda choice: choice.level.latency_ms)
        self._dwell.stepped_down(o.now_s)
        self._left = (*active.key, o.now_s)
        words = (f'{active.name} keeps {self.options.deadline_ms:g} ms with '
                 f'{active.in_time:.1%}, {target.name} with {target.in_time:.1%}')
        return self._go(o, active, target, DEADLINE, f'{words}: go to {target.name}')

    def _judge_last_step(self, o: Observation, choices: list[Forecast], active: Forecast) -> None:
        """Was the last step down for something that lasted? Else have more patience."""
        if self._left is None or o.now_s - self._left[2] < JUDGED_S:
            return
        left = [c for c in choices if c.key == self._left[:2]]
        self._left = None
        if left:
            factor = 1.6 if left[0].value > active.value else 0.8
            self._patience = min(MOST_PATIENCE, max(LEAST_PATIENCE, factor * self._patience))

    def _alarm(self, o: Observation, choices: list[Forecast], active: Forecast
               ) -> Decision | None:
        """Over-current and the like: less power at once, whatever the models say."""
        when = o.board.alarm_s
        if not (o.now_s - when <= ALARM_FRESH_S and when > self._alarm_s):
            return None
        self._alarm_s = when
        self._no_up_until_s = o.now_s + self.options.alarm_hold_s
        saving = [c for c in choices if c.watts <= ALARM_SAVES * active.watts]
        if not saving:
            return self._hold(o, active, f'{o.board.alarm}, but nothing draws less')
        target = max(saving, key=lambda choice: choice.worth)
        return self._go(o, active, target, ALARM, f'{o.board.alarm}: step down to {target.name}')

    def _obstacle(
        self, o: Observation, choice: Forecast, active: Forecast, attainable: float, *, keep: bool,
        rising: bool = False,
    ) -> tuple[int, str, str] | None:
        """What forbids a choice: (urgency, code, words); None = nothing.

        What is running is given a little more room (``keep``) than what would be stepped up to.
        """
        options, extra_w = self.options, self.beliefs.power.scale * (choice.watts - active.watts)
        limit_c = self._temperature_limit_c(o)
        reserve_c = 0.25 * options.temperature_margin_c if keep else options.temperature_margin_c
        if extra_w > self.beliefs.thermal.headroom_w(limit_c - reserve_c):
            ahead_c, horizon_s = self.beliefs.thermal.predicted_c, options.thermal_horizon_s
            words = f'{ahead_c:.0f} C expected in {horizon_s:.0f} s, limit {limit_c:.0f} C'
            return 3, TEMPERATURE, words
        wanted = options.deadline_probability
        slack = 1.0 - wanted if keep else 0.0
        in_time = choice.in_time
        if rising:
            in_time = max(in_time, choice.smoothed)
        late = in_time < min(wanted, attainable - NEAR_BEST) - slack
        # Where nothing is ever in time, the answers shall at least be as young as possible.
        hopeless = attainable < HOPELESS and choice.level.latency_ms > self._fastest_ms
        unseen = keep and self.beliefs.slow_down.frames < MIN_FRAMES
        if options.deadline_ms and (late or hopeless) and not unseen:
            words = (f'{choice.name} keeps {options.deadline_ms:g} ms with '
                     f'{choice.in_time:.1%}, wanted {wanted:.1%}')
            return 2, DEADLINE, words
        return self._energy_obstacle(o, choice, extra_w, keep)

    def _energy_obstacle(self, o: Observation, choice: Forecast, extra_w: float, keep: bool
                         ) -> tuple[int, str, str] | None:
        options = self.options
        if options.power_limit_w and self.beliefs.power.known:
            expected_w, std_w = self.beliefs.power.predict_w(choice.watts)
            lenient = keep and o.now_s - self.beliefs.power_heard_s <= SILENT_S
            expected_w += (KEEP_SIGMA if lenient else RESERVE_SIGMA) * std_w
            limit_w = options.power_limit_w
            if expected_w > limit_w - (0.0 if keep else MARGIN_W):
                return 1, POWER, f'{expected_w:.1f} W with {choice.name}, limit {limit_w:.1f} W'
        endurance = self.beliefs.endurance
        spare_w = endurance.headroom_w()
        if extra_w > spare_w + (ENDURANCE_KEEP_W if keep else ENDURANCE_UP_W):
            words = (f'battery for {endurance.power_w + spare_w:.1f} W until the target in '
                     f'{endurance.left_s:.0f} s, drawing {endurance.power_w:.1f} W')
            return 1, ENDURANCE, words
        lightest = self._battery_floor(o)
        if choice.level.index < lightest:
            return 1, BATTERY, f'battery at {_percent(o)} does not allow {choice.name}'
        return None

    def _battery_floor(self, o: Observation) -> int:
        """Index of the heaviest level that the charge allows."""
        return self._battery.heaviest([level for level in o.levels if level.usable]).index

    def _temperature_limit_c(self, o: Observation) -> float:
        limit_c = self.options.temperature_limit_c
        if limit_c and not math.isnan(o.board.throttle_c):
            limit_c = min(limit_c, o.board.throttle_c)
        return limit_c

    def _step_down(
        self, o: Observation, choices: list[Forecast], active: Forecast, attainable: float,
        wrong: tuple[int, str, str],
    ) -> Decision:
        found = [(self._obstacle(o, choice, active, attainable, keep=False), choice)
                 for choice in choices if choice is active or _saves(choice, active)]
        fitting = [choice for obstacle, choice in found if obstacle is None]
        if fitting:
            target = max(fitting, key=lambda choice: (choice.value, -choice.watts))
        else:  # nothing fits: give up the least urgent, and of the most urgent as much as goes
            target = min(found, key=lambda pair: _harm(pair[0], pair[1]))[1]
            worst = self._obstacle(o, active, active, attainable, keep=False)
            if target is not active and worst is not None and worst[0] == 2 and (
                target.in_time < active.in_time + 0.02 and attainable >= HOPELESS
            ):
                target = active
        _, code, words = wrong
        if target is active:
            return self._hold(o, active, f'{words}; nothing does better')
        self._dwell.stepped_down(o.now_s)
        return self._go(o, active, target, code, f'{words}: go to {target.name}')

    def _step_up(
        self, o: Observation, choices: list[Forecast], active: Forecast, attainable: float
    ) -> Decision:
        self._dwell.forgive(o.now_s)
        silent = self.beliefs.silent(o)
        promising, fitting = [], []
        for choice in choices:
            if choice.worth <= active.worth + 1e-4:
                continue
            key = choice.key
            obstacle = self._obstacle(o, choice, active, attainable, keep=False, rising=True)
            if obstacle is not None and obstacle[1] != DEADLINE:
                self._gains[key] = 0.0
            elif self._gains[key] > 0:
                promising.append(choice)
                if obstacle is None and self._gains[key] >= UP_GAIN * active.worth:
                    fitting.append(choice)
        if silent or not promising or o.now_s < self._no_up_until_s:
            self._up_since = None
            why = silent or ('nothing better fits' if not promising else 'after an alarm')
            return self._hold(o, active, why)
        best = max(fitting or promising, key=lambda choice: (choice.value, -choice.watts))
        if self._up_since is None:
            self._up_since = o.now_s
        waited_s = o.now_s - self._up_since
        if waited_s < self._dwell.seconds or not fitting:
            words = f'{best.name} would fit, waiting {waited_s:.1f} of {self._dwell.seconds:.1f} s'
            return self._hold(o, active, words, keep_timer=True)
        self._dwell.stepped_up(o.now_s)
        words = (f'{best.name} keeps {self.options.deadline_ms:g} ms with '
                 f'{best.in_time:.1%}, for {waited_s:.1f} s')
        if best.level.index > active.level.index:  # lighter, and worth more: fresher answers
            return self._go(o, active, best, DEADLINE, f'{words}: keeps up with the camera')
        return self._go(o, active, best, RECOVERED, f'{words}: step up')

    def _go(self, o: Observation, active: Forecast, target: Forecast, code: str, words: str
            ) -> Decision:
        self._up_since = None
        beliefs = self.beliefs
        beliefs.thermal.changed(beliefs.power.scale * (target.watts - active.watts), o.now_s)
        self._chosen, self._every = target, target.every
        self._gains = {}
        return Decision(target.level.index, code, words, target.every)

    def _hold(self, o: Observation, active: Forecast, words: str, *, keep_timer: bool = False
              ) -> Decision:
        if not keep_timer:
            self._up_since = None
        self._chosen = active
        return Decision(o.active, HOLD, f'stay at {active.name}: {words}', active.every)


def _saves(choice: Forecast, active: Forecast) -> bool:
    """Whether a choice draws less than what runs, or is at least a lighter level.

    On a board that cannot keep up every level is busy all the time, and their watts differ by
    noise only: a heavier level at the same rate saves nothing, whatever the noise says.
    """
    if choice.level.latency_ms < active.level.latency_ms and choice.every <= active.every:
        return choice.watts <= active.watts / SAVES
    return choice.every > active.every and choice.watts <= SAVES * active.watts


def _harm(obstacle: tuple[int, str, str] | None, choice: Forecast) -> tuple[float, ...]:
    """Order of what is left when nothing fits: the smallest is taken."""
    urgency = obstacle[0] if obstacle else 0
    if urgency == 2:
        return 2, -choice.in_time, choice.level.latency_ms
    return urgency, choice.watts, -choice.worth


def _percent(o: Observation) -> str:
    charge = o.battery.fraction
    return 'an unknown charge' if math.isnan(charge) else f'{charge:.0%}'


def _net(choice: Forecast, mark: float) -> float:
    """Worth of a frame, less a price for keeping the deadline less often than asked."""
    kept, smoothed = choice.in_time, choice.smoothed
    if kept < mark and smoothed < mark:
        return choice.worth * (kept - PRICE * (mark - (kept if kept > smoothed else smoothed)))
    return choice.worth * kept
