# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
r"""Launch the perception node, which configures and activates itself.

ros2 launch uav_prune_perception perception.launch.py ladder:=/path/to/ladder image_topic:=/cam
ros2 launch uav_prune_perception perception.launch.py ladder:=/path/to/ladder \
    cameras:=front=/cam0/image_raw,down=/cam1/image_raw
"""

from __future__ import annotations

import os
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from uav_prune_perception.ros.dds_profile import FAST_DDS_2, FAST_DDS_3, profile_variable

PACKAGE = 'uav_prune_perception'


def generate_launch_description() -> LaunchDescription:
    """The node with its arguments; ``ros2 launch -s`` lists them."""
    config = os.path.join(get_package_share_directory(PACKAGE), 'config')
    # A profile that the user has set already is the user's business.
    given = [name for name in (FAST_DDS_2, FAST_DDS_3) if os.environ.get(name)]
    profile = os.environ[given[0]] if given else os.path.join(config, 'fastdds_shm.xml')
    # Kilted still honours the name of before; with both it would load the profile twice.
    variable = FAST_DDS_2 if FAST_DDS_2 in given else profile_variable()
    fastdds_profile = LaunchConfiguration('fastdds_profile')
    argument = DeclareLaunchArgument
    return LaunchDescription([
        argument('namespace', default_value='', description='Of the node and its topics.'),
        argument(
            'ladder', default_value='',
            description='Folder of the ladder to fly; empty = ladder.path in params_file.',
        ),
        argument(
            'params_file', default_value=os.path.join(config, 'perception.yaml'),
            description='YAML file with the parameters of the node.',
        ),
        argument(
            'image_topic', default_value='image',
            description='Camera topic; with input.transport compressed, "/compressed" is added.',
        ),
        argument(
            'cameras', default_value='',
            description='Cameras that share the engine, as name=topic,name=topic; a name alone '
            'listens to "<name>/image". Empty = one camera, on image_topic.',
        ),
        argument(
            'transport', default_value='', choices=['', 'raw', 'compressed'],
            description='Of the images; empty = input.transport in params_file.',
        ),
        argument(
            'battery_topic', default_value='battery_state',
            description='sensor_msgs/BatteryState topic (mavros: /mavros/battery).',
        ),
        argument(
            'board_topic', default_value='board_state',
            description='DiagnosticArray topic with power_w, temperature_c, load of the computer.',
        ),
        argument(
            'use_sim_time', default_value='false', choices=['true', 'false', 'True', 'False'],
            description='Take the time from /clock.',
        ),
        argument(
            'autostart', default_value='true', choices=['true', 'false', 'True', 'False'],
            description='Configure and activate the node; false leaves that to a lifecycle '
            'manager.',
        ),
        argument(
            'respawn', default_value='false', description='Start the node again when it ends.'
        ),
        argument(
            'log_level', default_value='info', description='debug, info, warn, error or fatal.'
        ),
        argument(
            'fastdds_profile', default_value=profile,
            description='Fast DDS profile, by default one that large images get through with; '
            'the camera driver needs it, too. none = leave it to Fast DDS.',
        ),
        SetEnvironmentVariable('RCUTILS_LOGGING_BUFFERED_STREAM', '1'),
        SetEnvironmentVariable(
            variable, fastdds_profile,
            condition=IfCondition(
                PythonExpression(["'", fastdds_profile, "' not in ('', 'none')"])
            ),
        ),
        OpaqueFunction(function=_node),
    ])


def _node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node as the arguments say."""
    def said(name: str) -> str:
        return context.perform_substitution(LaunchConfiguration(name)).strip()

    cameras = _cameras(said('cameras'))
    # The node starts itself: a request to a node that has just been killed and started again is
    # lost on the one that was killed, which DDS believes alive for up to 20 s.
    parameters: dict[str, Any] = {
        name: ParameterValue(LaunchConfiguration(name), value_type=bool)
        for name in ('use_sim_time', 'autostart')
    }
    if said('ladder'):
        parameters['ladder.path'] = ParameterValue(said('ladder'), value_type=str)
    if said('transport'):
        parameters['input.transport'] = said('transport')
    if cameras:
        parameters['cameras'] = list(cameras)
    topics = {f'{name}/image': topic for name, topic in cameras.items() if topic}
    if not cameras:
        topics['image'] = said('image_topic')
    remappings = []
    for ours, theirs in topics.items():
        base = theirs.removesuffix('/compressed')
        remappings += [(ours, base), (f'{ours}/compressed', f'{base}/compressed')]
    node = LifecycleNode(
        package=PACKAGE,
        executable='perception_node',
        name='perception',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            ParameterFile(LaunchConfiguration('params_file'), allow_substs=True), parameters,
        ],
        remappings=[
            *remappings,
            ('battery_state', said('battery_topic')),
            ('board_state', said('board_topic')),
        ],
        arguments=['--ros-args', '--log-level', said('log_level')],
        respawn=LaunchConfiguration('respawn'),
        respawn_delay=2.0,
        output='screen',
        emulate_tty=True,
    )
    return [node]


def _cameras(text: str) -> dict[str, str]:
    """Name to topic ('' = not remapped) of ``name=topic,name``."""
    found: dict[str, str] = {}
    for item in text.split(','):
        name, _, topic = (part.strip() for part in item.partition('='))
        if name in found:
            raise RuntimeError(f'cameras: "{name}" is named twice in "{text}"')
        if name:
            found[name] = topic
        elif topic:
            raise RuntimeError(f'cameras: {topic} has no name in "{text}"; write name={topic}')
    return found
