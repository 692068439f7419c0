# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""uav-prune telemetry and uav-prune simulate."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from uav_prune_perception.cli.main import main


@pytest.fixture
def board(tmp_path):
    """A Jetson-like machine: one rail, one zone with a trip point."""
    hwmon = tmp_path / 'sys/class/hwmon/hwmon0'
    zone = tmp_path / 'sys/class/thermal/thermal_zone0'
    for folder in (hwmon, zone, tmp_path / 'proc/device-tree'):
        folder.mkdir(parents=True)
    for path, text in {
        hwmon / 'name': 'ina3221', hwmon / 'in1_label': 'VDD_IN', hwmon / 'in1_input': '5000',
        hwmon / 'curr1_input': '1500', zone / 'type': 'tj-thermal', zone / 'temp': '61500',
        zone / 'trip_point_0_type': 'passive', zone / 'trip_point_0_temp': '97000',
        tmp_path / 'proc/device-tree/model': 'NVIDIA Jetson Orin Nano\0',
    }.items():
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize('command', ['telemetry', 'simulate'])
def test_help_imports_nothing_heavy(command):
    code = (
        'import sys\n'
        'from uav_prune_perception.cli.main import main\n'
        f'try: main(["{command}", "--help"])\n'
        'except SystemExit: pass\n'
        'heavy = {"torch", "onnxruntime", "cv2", "numpy", "rclpy"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_telemetry_is_what_the_board_says(board, capsys):
    assert main(['telemetry', '--once', '--root', str(board)]) == 0
    text = capsys.readouterr().out
    assert 'NVIDIA Jetson Orin Nano' in text
    assert '7.50 W' in text
    assert 'throttles at 97 C' in text
    assert main(['telemetry', '--once', '--json', '--root', str(board)]) == 0
    seen = json.loads(capsys.readouterr().out)['policy_sees']
    assert (seen['power_w'], seen['temperature_c'], seen['throttle_c']) == (7.5, 61.5, 97.0)


def test_telemetry_of_a_machine_without_sensors_says_unknown(tmp_path, capsys):
    assert main(['telemetry', '--once', '--json', '--root', str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)['policy_sees']['power_w'] is None


def test_simulate_compares_with_the_oracle(capsys):
    arguments = ['simulate', '--duration', '15', '--policies', 'calibrated,static', '--json']
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found['policies']) == ['oracle', 'calibrated', 'static']
    scores = {name: one['metrics']['score'] for name, one in found['policies'].items()}
    assert scores['oracle'] > scores['calibrated'] > scores['static']
    change = found['policies']['calibrated']['changes'][0]
    assert change['code'] == 'deadline'
    assert change['reason']


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['simulate', '--scenario', 'S42'], 'no scenario "S42"; there are S0'),
        (['simulate', '--policies', 'magic'], 'no policy "magic"'),
        (['simulate', '--trace', 'no_such_file.npz'], 'no_such_file.npz: not a latency trace'),
        (['simulate', '--scenario', 'S1m'], 'not recorded under contention'),
        (['simulate', '--duration', '1'], '--duration is 1'),
        (['telemetry', '--root', '/no/such'], '/no/such is no folder'),
        (['telemetry', '--period', '0'], '--period is 0'),
    ],
)
def test_nonsense_is_one_line(arguments, says, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert '\n' not in error
