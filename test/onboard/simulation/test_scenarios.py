# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from uav_prune_perception.onboard.policy.calibrated import CalibratedPolicy
from uav_prune_perception.onboard.policy.calibrated_options import CalibratedOptions
from uav_prune_perception.onboard.simulation import (
    SCENARIOS,
    fly,
    made_up_trace,
    make_world,
    measure,
    read_trace,
    write_trace,
)
from uav_prune_perception.onboard.simulation.traces import LatencyTrace

MADE_UP = [name for name in SCENARIOS if name != 'S1m']
DURATION_S = 60.0


@pytest.fixture(scope='module')
def trace():
    return made_up_trace(0, frames=1800)


@pytest.mark.parametrize('name', MADE_UP)
def test_all_arrays_are_of_one_length(name, trace):
    world = make_world(name, trace, 0, DURATION_S)
    for array in (world.ambient_c, world.other_w, world.hover_w, world.power_limit_w,
                  world.power_dead, world.power_frozen):
        assert array.shape == (world.frames,)
    assert world.latency_ms.shape == world.accuracy.shape == (5, world.frames)
    assert world.arrival_s[-1] == pytest.approx(DURATION_S, rel=0.02)


def test_same_seed_same_world(trace):
    first, second, other = (make_world('S6', trace, seed, 30.0) for seed in (3, 3, 4))
    assert (first.latency_ms == second.latency_ms).all()
    assert (first.latency_ms != other.latency_ms).any()


def test_unknown_scenario_is_named(trace):
    with pytest.raises(ValueError, match='no scenario "S99"; there are S0, S1'):
        make_world('S99', trace, 0)


def test_measured_contention_needs_a_recording(trace):
    with pytest.raises(ValueError, match='was not recorded under contention'):
        make_world('S1m', trace, 0)


def test_measured_contention_alternates(trace):
    both = LatencyTrace(trace.names, trace.kept_macs, trace.accuracy, {
        **trace.latency_ms, 'contended': 3.0 * trace.latency_ms['quiet'],
    })
    world = make_world('S1m', both, 0, DURATION_S)
    halves = world.latency_ms[0].reshape(10, -1).mean(axis=1)
    assert (halves[1::2] > 2.5 * halves[0::2]).all()


@pytest.mark.parametrize('name', MADE_UP)
def test_calibrated_policy_keeps_limits_and_deadlines(name, trace):
    """Short flights: the benchmark has the long ones, with the oracle and statistics."""
    world = make_world(name, trace, 2, 120.0)
    known = CalibratedOptions.__dataclass_fields__
    settings = {key: value for key, value in world.settings.items() if key in known}
    log = fly(world, CalibratedPolicy(CalibratedOptions(max_every=4, **settings)))
    metrics = measure(world, log)
    assert metrics.violations < 0.03
    assert metrics.limit_violations < 0.02
    assert metrics.switches_per_min <= 8.0


def test_trace_survives_the_file(tmp_path, trace):
    write_trace(trace, tmp_path / 'trace.npz')
    again = read_trace(tmp_path / 'trace.npz')
    assert (again.names, again.accuracy, again.origin) == (
        trace.names, trace.accuracy, trace.origin)
    assert np.abs(again.latency_ms['quiet'] - trace.latency_ms['quiet']).max() < 0.003


def test_what_is_no_trace_is_named(tmp_path):
    path = tmp_path / 'x.npz'
    path.write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'x\.npz: not a latency trace'):
        read_trace(path)


def test_scaling_says_so(trace):
    scaled = trace.scaled(44.0)
    assert np.median(scaled.latency_ms['quiet'][0]) == pytest.approx(44.0, rel=0.01)
    assert 'times multiplied by' in scaled.origin
