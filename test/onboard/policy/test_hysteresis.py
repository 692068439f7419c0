# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math

import pytest

from uav_prune_perception.onboard.policy import (
    LevelInfo,
    Observation,
    RecentLatency,
    make_policy,
)
from uav_prune_perception.onboard.policy.hysteresis import predict_p95_ms
from uav_prune_perception.onboard.telemetry import BatteryState, BoardState

NAN = math.nan
EXPECTED = {'100': 20.0, '75': 15.0, '50': 10.0, '25': 5.0}  # inference at warm-up, ms


def levels(broken=()):
    return tuple(
        LevelInfo(i, name, int(name) / 100, 0.5, ms, name not in broken)
        for i, (name, ms) in enumerate(EXPECTED.items())
    )


def frames(inference: float, extra: float = 2.0, tail: float = 1.0, n: int = 30):
    p50 = inference + extra
    return RecentLatency(p50, p50 * tail, inference, n)


class Flight:
    """Plays ticks at 10 Hz; the policy's answer is carried out, as the pipeline does."""

    def __init__(self, active=0, broken=(), **options):
        self.policy = make_policy('hysteresis', **options)
        self.now, self.active, self.levels = 1000.0, active, levels(broken)
        self.changes = []

    def tick(self, slow=1.0, *, latency=None, fraction=NAN, power=NAN, temperature=NAN):
        if latency is None:
            latency = frames(self.levels[self.active].latency_ms * slow)
        decision = self.policy.decide(Observation(
            self.now, self.active, self.levels, latency,
            BatteryState(fraction=fraction), BoardState(power, temperature),
        ))
        if decision.level != self.active:
            self.changes.append((self.now, decision.level, decision.code))
        self.active = decision.level
        self.now += 0.1
        return decision

    def fly(self, seconds, **conditions):
        decision = None
        for _ in range(round(seconds * 10)):
            decision = self.tick(**conditions)
        return decision


def test_nothing_happens_while_all_is_well():
    flight = Flight(deadline_ms=30)
    decision = flight.fly(60, fraction=0.9, power=5.0, temperature=50.0)
    assert not flight.changes
    assert decision.code == 'hold'


def test_over_the_deadline_it_steps_down_at_once_and_says_the_numbers():
    flight = Flight(deadline_ms=40)
    decision = flight.tick(latency=frames(46, tail=1.0))
    assert decision.code == 'deadline'
    # 46 / 20 = 2.3 times slow: level 75 is predicted at 2 + 15 * 2.3 = 36.5 ms.
    assert flight.levels[decision.level].name == '75'
    assert decision.reason == 'p95 latency 48 ms over deadline 40 ms: step down to 75'


def test_it_skips_levels_that_would_miss_the_deadline_too():
    flight = Flight(deadline_ms=25)
    decision = flight.tick(slow=2.2)  # 75: 35, 50: 24
    assert flight.levels[decision.level].name == '50'


def test_if_none_fits_the_lightest_runs():
    flight = Flight(deadline_ms=3)
    assert flight.levels[flight.tick(slow=5).level].name == '25'
    decision = flight.fly(10, slow=5)
    assert flight.levels[decision.level].name == '25'


def test_it_steps_up_one_level_only_after_the_dwell():
    flight = Flight(active=3, deadline_ms=30, dwell_up_s=5)
    flight.fly(4.9)
    assert flight.active == 3
    decision = flight.fly(0.3)
    assert flight.changes[0][1:] == (2, 'recovered')
    assert flight.active == 2
    flight.fly(12)
    assert [level for _, level, _ in flight.changes] == [2, 1, 0]
    gaps = [b[0] - a[0] for a, b in zip(flight.changes, flight.changes[1:], strict=False)]
    assert all(gap >= 5 for gap in gaps)
    assert decision.reason


def test_one_bad_moment_begins_the_dwell_again():
    flight = Flight(active=1, deadline_ms=30, dwell_up_s=5)
    flight.fly(4)
    flight.tick(slow=1.5)  # 100 would then need 32 ms
    flight.fly(4)
    assert not flight.changes
    flight.fly(1.5)
    assert flight.active == 0


def test_it_does_not_step_up_into_a_missed_deadline():
    flight = Flight(active=1, deadline_ms=30, latency_up_fraction=0.8, dwell_up_s=1)
    decision = flight.fly(30, slow=1.2)  # 100: 2 + 24 = 26 ms, more than 24
    assert not flight.changes
    assert decision.reason == 'stay at 75: 100 is predicted at p95 26 ms, over 24 ms'
    flight.fly(1.5, slow=1.0)  # 22 ms
    assert flight.active == 0


def test_a_slow_board_does_not_make_it_swing():
    flight = Flight(deadline_ms=30)
    flight.fly(120, slow=1.6)  # 100: 34 ms, 75: 26 ms
    assert [level for _, level, _ in flight.changes] == [1]


def test_the_tail_and_what_is_not_inference_are_part_of_the_prediction():
    o = Observation(0, 1, levels(), RecentLatency(40, 60, 30, 9), BatteryState(), BoardState())
    # twice as slow; 10 ms beside inference; p95 is 1.5 times p50
    assert predict_p95_ms(o, o.levels[0]) == pytest.approx((10 + 20 * 2) * 1.5)
    assert predict_p95_ms(o, o.levels[1]) == pytest.approx(60)
    blank = Observation(0, 1, levels(), RecentLatency(), BatteryState(), BoardState())
    assert math.isnan(predict_p95_ms(blank, blank.levels[0]))


def test_few_frames_and_none_decide_nothing():
    flight = Flight(active=1, deadline_ms=10, dwell_up_s=0.5, min_frames=5)
    flight.fly(10, latency=frames(500, n=4))
    flight.fly(10, latency=RecentLatency())
    assert not flight.changes


@pytest.mark.parametrize(('fraction', 'name'), [(0.5, '100'), (0.29, '50'), (0.1, '25')])
def test_the_battery_caps_the_level(fraction, name):
    flight = Flight()
    decision = flight.tick(fraction=fraction)
    assert flight.levels[flight.active].name == name
    if name != '100':
        assert decision.code == 'battery'
        assert f'battery {fraction:.0%}' in decision.reason


def test_a_battery_that_wavers_around_its_threshold_does_not_make_it_swing():
    flight = Flight(dwell_up_s=1, battery_low_fraction=0.3, battery_hysteresis=0.05)
    for index in range(600):
        flight.tick(fraction=0.3 + (0.04 if index % 40 < 20 else -0.04))
    assert [level for _, level, _ in flight.changes] == [2]
    flight.fly(5, fraction=0.36)
    assert flight.active == 0


def test_a_battery_that_falls_silent_keeps_its_cap_and_blocks_stepping_up():
    flight = Flight(dwell_up_s=1)
    flight.tick(fraction=0.2)
    decision = flight.fly(60)
    assert flight.levels[flight.active].name == '50'
    assert 'battery is not reported any more' in decision.reason
    flight.fly(5, fraction=0.9)
    assert flight.active == 0


def test_a_battery_that_was_never_heard_is_left_out():
    flight = Flight(active=1, dwell_up_s=1)
    flight.fly(2)
    assert flight.active == 0


@pytest.mark.parametrize(
    ('limit', 'condition', 'code'),
    [
        ({'power_limit_w': 10.0}, {'power': 12.0}, 'power'),
        ({'temperature_limit_c': 80.0}, {'temperature': 81.0}, 'temperature'),
    ],
)
def test_over_a_sensors_limit_it_steps_down_once_per_settling_time(limit, condition, code):
    flight = Flight(settle_s=2.0, **limit)
    decision = flight.tick(**condition)
    assert (decision.level, decision.code) == (1, code)
    flight.fly(1.8, **condition)
    assert flight.active == 1
    flight.fly(0.5, **condition)
    assert flight.active == 2


@pytest.mark.parametrize(
    ('limit', 'near', 'good'),
    [
        ({'power_limit_w': 10.0, 'power_margin_w': 1.0}, {'power': 9.5}, {'power': 9.0}),
        ({'temperature_limit_c': 80.0, 'temperature_margin_c': 5.0}, {'temperature': 76.0},
         {'temperature': 75.0}),
    ],
)
def test_it_steps_up_only_with_a_margin_to_the_limit(limit, near, good):
    flight = Flight(active=1, dwell_up_s=1, **limit)
    flight.fly(20, **near)
    assert flight.active == 1
    flight.fly(3)  # silent
    assert flight.active == 1
    flight.fly(2, **good)
    assert flight.active == 0


def test_limits_of_zero_are_off():
    flight = Flight(deadline_ms=0, power_limit_w=0, temperature_limit_c=0,
                    battery_low_fraction=0, battery_critical_fraction=0)
    flight.fly(10, slow=100, power=1e3, temperature=1e3, fraction=0.0)
    assert not flight.changes


def test_of_several_reasons_the_lightest_level_wins_and_equals_go_by_urgency():
    flight = Flight(deadline_ms=30)
    decision = flight.tick(slow=1.6, fraction=0.1)  # deadline asks for 75, battery for 25
    assert (decision.code, decision.level) == ('battery', 3)
    flight = Flight(deadline_ms=30, temperature_limit_c=80)
    decision = flight.tick(slow=1.6, temperature=90.0)  # both ask for 75
    assert (decision.code, decision.level) == ('temperature', 1)


def test_broken_levels_are_never_chosen():
    flight = Flight(deadline_ms=30, broken=['75'], dwell_up_s=1)
    flight.tick(slow=1.6)
    assert flight.levels[flight.active].name == '50'
    flight.fly(1.5)
    assert flight.levels[flight.active].name == '100'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'deadline_ms': -1}, 'deadline_ms is -1'),
        ({'deadline_ms': NAN}, 'deadline_ms is nan'),
        ({'latency_up_fraction': 1.5}, 'latency_up_fraction is 1.5, must be 0..1'),
        ({'battery_critical_fraction': 0.5}, 'battery_critical_fraction is 0.5'),
        ({'deadline': 3}, 'has no option deadline; it has deadline_ms'),
    ],
)
def test_senseless_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_policy('hysteresis', **options)


def test_the_dwell_grows_after_a_step_up_that_had_to_be_taken_back():
    flight = Flight(active=1, deadline_ms=21.0, latency_up_fraction=1.0, dwell_up_s=2.0)
    # Foreseen to fit, but too slow whenever it runs: without back-off it would try every 2 s.
    ups = []
    for _ in range(600):
        before = flight.active
        slow = 0.9 if flight.active else 1.2
        flight.tick(slow)
        if flight.active < before:
            ups.append(flight.now)
    gaps = [b - a for a, b in itertools.pairwise(ups)]
    assert len(ups) >= 3
    assert gaps[1] > 1.7 * gaps[0]
    assert len(ups) <= 6
