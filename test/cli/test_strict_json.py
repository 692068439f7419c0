# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What commands print for programs can be read by every JSON reader."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from uav_prune_perception.cli.main import main
from uav_prune_perception.cli.strict_json import strict_json


def refuse(text: str) -> float:
    raise AssertionError(f'{text} is no JSON')


def test_the_unknown_is_null_at_any_depth() -> None:
    document = {'a': math.nan, 'b': [1.5, (math.inf, 'NaN')], 'c': {'d': -math.inf, 'e': True}}
    assert json.loads(strict_json(document), parse_constant=refuse) == {
        'a': None, 'b': [1.5, [None, 'NaN']], 'c': {'d': None, 'e': True},
    }


def test_a_machine_without_sensors_is_told_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['telemetry', '--once', '--json', '--root', str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert told['policy_sees']['power_w'] is None
