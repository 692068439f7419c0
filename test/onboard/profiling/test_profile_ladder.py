# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is measured is what happened: made-up engines of known speed on a made-up board."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import tiny_ladder

from uav_prune_perception.ladder import DeviceProfile, LadderError
from uav_prune_perception.onboard.profiling import (
    PowerMeter,
    load_measured,
    profile_engines,
    slower_levels,
    timed_rounds,
)
from uav_prune_perception.onboard.profiling.ladder import faults, profile_ladder


class Sleeper:
    """Needs ``ms`` for an inference, and notes its name."""

    input_shapes = ((1, 3, 4, 4),)
    title, on_gpu, name = 'sleeper', False, 'sleeper'

    def __init__(self, ms, log=None, key=''):
        self.ms, self.log, self.key = ms, log if log is not None else [], key

    def infer(self, tensor):
        assert tensor.shape == (1, 3, 4, 4)
        self.log.append(self.key)
        time.sleep(self.ms / 1e3)


class Rail:
    """5 W, always; fails at every third reading, as sleeping rails do."""

    def __init__(self):
        self.count = 0

    def probe(self):
        return True

    def power_w(self):
        self.count += 1
        return math.nan if self.count % 3 == 0 else 5.0


def test_levels_take_turns_and_the_first_run_of_a_turn_only_warms():
    log: list[str] = []
    engines = {key: Sleeper(1, log, key) for key in 'ab'}
    times = timed_rounds(engines, 20)
    assert ''.join(log) == 'aabb' * 30  # ten rounds to warm up
    assert times['a'].shape == (20,)
    assert np.median(times['a']) >= 1.0


def test_a_profile_knows_rate_and_energy():
    engines = {'100': Sleeper(8), '50': Sleeper(4)}
    profiles = profile_engines(
        engines, runs=10, memory_mib={'100': 12.34}, meter=PowerMeter(source=Rail())
    )
    top, low = profiles['100'], profiles['50']
    assert (top.engine, top.n, top.memory_mib, low.memory_mib) == ('sleeper', 10, 12.3, None)
    assert 8.0 <= top.latency_ms_p50 <= top.latency_ms_p95 <= top.latency_ms_p99
    assert 0.5 < top.throughput_hz / (1000 / top.latency_ms_p50) < 1.5
    assert top.power_w == pytest.approx(5.0)
    assert top.energy_j == pytest.approx(5.0 / top.throughput_hz, rel=1e-3)
    assert low.energy_j < top.energy_j
    assert top.measured.startswith('20')


def test_without_a_rail_energy_is_unknown(tmp_path):
    meter = PowerMeter(tmp_path)
    assert not meter
    assert meter.source_name == ''
    assert math.isnan(meter.mean_w(lambda: None))
    profile = profile_engines({'1': Sleeper(1)}, runs=5, meter=meter, root=tmp_path)['1']
    assert (profile.energy_j, profile.power_w, profile.temperature_c) == (None, None, None)


def test_a_level_that_is_not_faster_is_named():
    def profile(ms):
        return DeviceProfile('engine', 10, ms, ms, ms)

    lines = slower_levels({'100': profile(9), '70': profile(8.99), '45': profile(5)})
    assert len(lines) == 1
    assert 'level 70 is not faster than level 100' in lines[0]
    found = faults({
        'fp32': {'100': profile(9), '70': profile(6)},
        'int8': {'100': profile(5), '70': profile(6.5)},
    })
    assert len(found) == 2
    assert found[0].startswith('int8: level 70 is not faster than level 100')
    assert 'level 70: int8 is not faster than fp32' in found[1]


def test_a_ladder_is_profiled_and_what_it_lacks_is_named(tmp_path):
    ladder = tiny_ladder.make_detection_ladder(tmp_path / 'ladder', 3, 128, 128)
    told: list[str] = []
    profiles = profile_ladder(
        ladder, engine='onnxruntime', threads=1, runs=20, tell=told.append
    )
    assert list(profiles) == ['fp32']
    assert list(profiles['fp32']) == ['100', '50', '25']
    top = profiles['fp32']['100']
    assert top.engine.endswith('CPU fp32, 1 thread')
    assert top.memory_mib is not None
    assert top.latency_ms_p50 > profiles['fp32']['25'].latency_ms_p50
    assert any('round 20 of 20' in line for line in told)
    with pytest.raises(LadderError, match='no level has int8'):
        profile_ladder(ladder, precisions=['int8'])


def test_memory_is_what_the_process_grew_by(tmp_path):
    class Hungry(Sleeper):
        def load(self):
            self.held = np.ones(60 * 2**20, np.uint8)

        def warm_up(self, runs):
            return []

    assert 50 < load_measured(Hungry(0)) < 80
    assert math.isnan(load_measured(Hungry(0), tmp_path))
