# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/node.md and everything in config/ say what the node declares.

``python test/ros/test_node_documents.py`` writes the table of parameters and the schema anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from uav_prune_perception.ros.parameter_schema import parameter_schema
from uav_prune_perception.ros.parameter_table import TABLE, Spec

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / 'docs' / 'node.md'
CONFIG = REPOSITORY / 'config'
SCHEMA = CONFIG / 'perception.schema.json'
PLACE = re.compile(r'(<!-- parameters: .*? -->\n).*?(<!-- end of parameters -->)', re.DOTALL)


def table() -> str:
    lines = ['| parameter | default | range | when | |', '|---|---|---|---|---|']
    for spec in TABLE:
        text = spec.description.replace('|', '\\|')
        lines.append(
            f'| `{spec.name}` | `{spec.default!r}` | {spec.range} | {spec.when} | {text} |'
        )
    return '\n'.join(lines) + '\n'


def written() -> str:
    return PLACE.sub(lambda found: found[1] + table() + found[2], DOCUMENT.read_text())


def test_the_parameters_in_the_documentation_are_those_declared():
    assert DOCUMENT.read_text() == written(), f'run: python {__file__}'


def flat(tree: dict[str, object], prefix: str = '') -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in tree.items():
        found |= flat(value, f'{prefix}{key}.') if isinstance(value, dict) else {
            f'{prefix}{key}': value
        }
    return found


def test_the_configuration_has_every_parameter_with_its_default():
    document = yaml.safe_load((CONFIG / 'perception.yaml').read_text())
    given = flat(document['/**']['ros__parameters'])
    assert given == {spec.name: spec.default for spec in TABLE}
    for spec in TABLE:
        assert type(given[spec.name]) is type(spec.default), spec.name  # 50 is not 50.0 for ROS


def test_every_default_is_in_range_and_described():
    def fits(spec: Spec) -> bool:
        if spec.choices:
            return spec.default in spec.choices
        return spec.low is None or spec.low <= float(spec.default) <= float(spec.high or 0)

    assert [spec.name for spec in TABLE if not fits(spec) or len(spec.description) < 20] == []


def schema_text() -> str:
    return json.dumps(parameter_schema(), indent=2) + '\n'


def test_the_schema_is_that_of_the_declared_parameters():
    assert SCHEMA.read_text() == schema_text(), f'run: python {__file__}'


def complaints(parameters: dict[str, object], node: str = '/**') -> list[str]:
    validator = jsonschema.Draft7Validator(parameter_schema())
    return [e.message for e in validator.iter_errors({node: {'ros__parameters': parameters}})]


def test_the_schema_accepts_the_configuration_and_what_else_ros_allows():
    jsonschema.Draft7Validator.check_schema(parameter_schema())
    document = yaml.safe_load((CONFIG / 'perception.yaml').read_text())
    assert complaints(document['/**']['ros__parameters']) == []
    depth = {'/image': {'subscription': {'depth': 3}}}
    assert complaints({'use_sim_time': True, 'qos_overrides': depth}, '/air/perception') == []
    assert complaints({'ladder.path': '/l', 'cameras': ['front'], 'input': {'timeout_s': 2}}) == []


@pytest.mark.parametrize(
    'parameters',
    [
        {'ladder': {'pth': '/l'}},
        {'input': {'transport': 'telepathy'}},
        {'input': {'timeout_s': -1.0}},
        {'input': {'lazy': 'yes'}},
        {'engine': {'threads': 1.5}},
        {'cameras': ['a/b']},
        {'postprocess.score_threshold': 2},
    ],
)
def test_the_schema_finds_what_the_node_would_refuse(parameters):
    assert len(complaints(parameters)) == 1


def test_launch_file_describes_every_argument():
    pytest.importorskip('launch_ros', reason='launch_ros comes with ROS 2, not from PyPI')
    pytest.importorskip('launch', reason='launch comes with ROS 2, not from PyPI')
    import os

    import ament_index_python.packages as packages
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, 'get_package_share_directory', lambda name: str(REPOSITORY))
        path = REPOSITORY / 'launch' / 'perception.launch.py'
        description = get_launch_description_from_python_launch_file(os.fspath(path))
    arguments = {
        entity.name: entity
        for entity in description.entities if isinstance(entity, DeclareLaunchArgument)
    }
    expected = {
        'namespace', 'ladder', 'params_file', 'image_topic', 'cameras', 'transport',
        'battery_topic', 'board_topic', 'use_sim_time', 'autostart', 'respawn', 'log_level',
        'fastdds_profile',
    }
    assert set(arguments) == expected
    assert all(len(argument.description) > 20 for argument in arguments.values())
    profile = arguments['fastdds_profile'].default_value
    assert profile is not None
    text = ''.join(part.perform(LaunchContext()) for part in profile)
    assert Path(text).is_file()
    set_for_the_node = {
        ''.join(part.perform(LaunchContext()) for part in entity.name)
        for entity in description.entities if isinstance(entity, SetEnvironmentVariable)
    }
    names = {'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'}
    assert len(names & set_for_the_node) == 1  # with both, Kilted loads it twice and complains


if __name__ == '__main__':
    DOCUMENT.write_text(written())
    SCHEMA.write_text(schema_text())
