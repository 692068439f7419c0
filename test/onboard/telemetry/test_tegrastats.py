# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import lzma
import math
from pathlib import Path

import pytest

from uav_prune_perception.onboard.telemetry import parse_tegrastats

# Shaped as the tools print them; the numbers are made up.
ORIN_NANO = (
    '10-01-2025 20:05:55 RAM 2000/6834MB (lfb 27x4MB) SWAP 5/3417MB (cached 2MB) '
    'CPU [80%@1189,40%@1188,20%@1189,60%@1189,off,off] EMC_FREQ 0% GR3D_FREQ 22% AUX@36.5C '
    'CPU@40C thermal@37.85C AO@37.5C GPU@41.5C PMIC@50C VDD_IN 5500mW/5400mW '
    'VDD_CPU_GPU_CV 1594mW/1594mW VDD_SOC 1234mW/1234mW'
)
TX2 = (
    'RAM 2633/7850MB (lfb 3x4MB) CPU [0%@2035,0%@2035,0%@2035,0%@2035,0%@2035,6%@2035] '
    'BCPU@35C MCPU@35C GPU@41C PLL@35C AO@32C Tboard@70C Tdiode@71.25C PMIC@100C '
    'thermal@33.8C VDD_IN 3624/3500 VDD_CPU 696/696 VDD_GPU 371/371 VDD_SOC 650/650'
)
AGX_ORIN = (
    'RAM 1/2MB CPU [10%@729,off] GR3D_FREQ 90%@[305,305] cpu@45.0C tj@52.5C cv0@-256C '
    'VDD_GPU_SOC 3000mW/1mW VDD_CPU_CV 2000mW/1mW VIN_SYS_5V0 4000mW/1mW '
    'VDDQ_VDD2_1V8AO 900mW/1mW'
)
AGX_XAVIER = (
    'RAM 1/2MB CPU [10%@729] GPU@30C GPU 1000/1 CPU 2000/1 SOC 300/1 CV 0/0 VDDRQ 500/1 '
    'SYS5V 1200/1'
)


@pytest.mark.parametrize(
    ('line', 'power', 'temperature', 'load'),
    [
        (ORIN_NANO, 5.5, 41.5, 0.5),
        (TX2, 3.624, 41.0, 0.01),
        (AGX_ORIN, 9.0, 52.5, 0.9),
        (AGX_XAVIER, 5.0, 30.0, 0.1),
    ],
)
def test_each_board_gives_its_own_total(line, power, temperature, load):
    state = parse_tegrastats(line, received_s=3.0)
    assert state.power_w == pytest.approx(power)
    assert state.temperature_c == pytest.approx(temperature)
    assert state.load == pytest.approx(load)
    assert state.received_s == 3.0


@pytest.mark.parametrize('line', ['', 'garbage', 'CPU [off,off]', 'VDD_IN mW/', 'CPU@C', '\0'])
def test_what_is_not_said_is_unknown(line):
    state = parse_tegrastats(line, received_s=0.0)
    assert all(math.isnan(v) for v in (state.power_w, state.temperature_c, state.load))


def test_a_cut_line_gives_what_it_still_says():
    state = parse_tegrastats(ORIN_NANO[:ORIN_NANO.index('VDD_IN')], received_s=0.0)
    assert math.isnan(state.power_w)
    assert state.temperature_c == 41.5


SHARED = Path(__file__).parents[4] / 'shared/data/telemetry'


@pytest.mark.skipif(not SHARED.is_dir(), reason='needs the recorded logs of ../shared/data')
def test_recorded_logs_are_read_to_the_last_line():
    orin = (SHARED / 'tegrastats_orin_nano_burn.log').read_text().splitlines()
    tx2 = lzma.decompress((SHARED / 'tegrastats_tx2.log.xz').read_bytes()).decode().splitlines()
    for lines, low, high in ((orin, 5.4, 13.9), (tx2, 3.5, 4.2)):
        states = [parse_tegrastats(line, received_s=0.0) for line in lines if line.strip()]
        assert all(low < state.power_w < high for state in states)
        assert all(20 < state.temperature_c < 70 for state in states)
        assert all(0 <= state.load <= 1 for state in states)
