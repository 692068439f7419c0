# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys

import pytest

from uav_prune_perception.cli import machine_checks
from uav_prune_perception.cli.main import main


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
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/nowhere/profile.xml')
    monkeypatch.setenv('ROS_DOMAIN_ID', '400')
    monkeypatch.setattr(machine_checks, '_optional', lambda part, module, name, mend:
                        machine_checks.Check(part, name, 'ok', 'found'))
    found = {check.name: check.state for check in machine_checks._ros()}
    assert found['Fast DDS profile'] == 'broken'
    assert found['ROS_DOMAIN_ID'] == 'broken'


@pytest.mark.parametrize('given', [1, 2])
def test_a_profile_by_one_name_only_is_no_use_to_the_other_fast_dds(given, tmp_path, monkeypatch):
    profile = tmp_path / 'profile.xml'
    profile.write_text('<dds/>')
    for index, name in enumerate(machine_checks.DDS_PROFILES):
        monkeypatch.delenv(name, raising=False)
        if index < given:
            monkeypatch.setenv(name, str(profile))
    check = machine_checks._dds_profile('ROS')
    assert check.state == 'ok'
    assert ('FASTRTPS_DEFAULT_PROFILES_FILE' in check.mend) == (given == 1)


def test_one_failing_part_does_not_hide_the_others(monkeypatch):
    def explode():
        raise RuntimeError('sensor exploded')

    monkeypatch.setattr(machine_checks, '_sensors', explode)
    checks = machine_checks.check_machine()
    assert [c.found for c in checks if c.part == 'power and heat'] == [
        'RuntimeError: sensor exploded'
    ]
    assert any(c.part == 'workstation' for c in checks)
