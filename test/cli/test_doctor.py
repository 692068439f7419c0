# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys

import pytest

from uav_prune_perception.cli import machine_checks
from uav_prune_perception.cli.main import main
from uav_prune_perception.ros import dds_profile


def test_what_works_here_is_said_and_an_engine_really_infers(capsys):
    code = main(['doctor', '--json'])
    found = {(row['part'], row['name']): row for row in json.loads(capsys.readouterr().out)}
    engine = found['onboard engines', 'ONNX Runtime CPU']
    assert engine['state'] == 'ok'
    assert 'a real inference was right' in engine['found']
    assert found['machine', 'Python']['found'] == sys.version.split()[0]
    assert found['workstation', 'torch']['state'] == 'ok'
    assert code == int(any(row['state'] == 'broken' for row in found.values()))


def test_a_package_that_is_there_but_broken_is_not_called_missing(tmp_path, monkeypatch, capsys):
    (tmp_path / 'openvino.py').write_text('raise OSError("libopenvino.so: no such file")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'openvino', raising=False)
    assert main(['doctor']) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if 'OpenVINO' in line]
    assert 'BAD' in line
    assert 'libopenvino.so: no such file' in line


def test_a_profile_that_is_named_but_not_there_is_broken(monkeypatch):
    monkeypatch.setenv(dds_profile.profile_variable(), '/nowhere/profile.xml')
    monkeypatch.setenv('ROS_DOMAIN_ID', '400')
    monkeypatch.setattr(machine_checks, '_optional', lambda part, module, name, mend:
                        machine_checks.Check(part, name, 'ok', 'found'))
    found = {check.name: check.state for check in machine_checks._ros()}
    assert found['Fast DDS profile'] == 'broken'
    assert found['ROS_DOMAIN_ID'] == 'broken'


@pytest.mark.parametrize(('rclpy', 'name'), [
    ('3.3.16', 'FASTRTPS_DEFAULT_PROFILES_FILE'),  # Humble
    ('7.1.6', 'FASTRTPS_DEFAULT_PROFILES_FILE'),  # Jazzy
    ('9.1.2', 'FASTDDS_DEFAULT_PROFILES_FILE'),  # Kilted
])
def test_a_profile_counts_only_under_the_name_that_this_fast_dds_reads(
    rclpy, name, tmp_path, monkeypatch
):
    profile = tmp_path / 'profile.xml'
    profile.write_text('<dds/>')
    monkeypatch.setattr(dds_profile.importlib.metadata, 'version', lambda package: rclpy)
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    for given in names:
        for other in names:
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(given, str(profile))
        check = machine_checks._dds_profile('ROS')
        assert check.state == ('ok' if given == name else 'missing')
        assert (name in check.mend) == (given != name)


def test_one_failing_part_does_not_hide_the_others(monkeypatch):
    def explode():
        raise RuntimeError('sensor exploded')

    monkeypatch.setattr(machine_checks, '_sensors', explode)
    checks = machine_checks.check_machine()
    assert [c.found for c in checks if c.part == 'power and heat'] == [
        'RuntimeError: sensor exploded'
    ]
    assert any(c.part == 'workstation' for c in checks)
