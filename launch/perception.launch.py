# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
r"""Launch the perception node, and configure and activate it.

ros2 launch uav_prune_perception perception.launch.py ladder:=/path/to/ladder image_topic:=/cam
ros2 launch uav_prune_perception perception.launch.py ladder:=/path/to/ladder \
    cameras:=front=/cam0/image_raw,down=/cam1/image_raw
"""

from __future__ import annotations

import os
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from lifecycle_msgs.msg import Transition

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
            'autostart', default_value='true',
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
    """The node as the arguments say, and the events that configure and activate it."""
    def said(name: str) -> str:
        return context.perform_substitution(LaunchConfiguration(name)).strip()

    cameras = _cameras(said('cameras'))
    parameters: dict[str, Any] = {
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
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
    # By events: LifecycleNode(autostart=...) does not exist on Humble. Once for each start of the
    # process: what is configured by hand later on is activated by hand.
    autostart = IfCondition(LaunchConfiguration('autostart'))
    to_activate: list[bool] = []

    def on_start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        to_activate[:] = [True]
        return [_change_state(node, Transition.TRANSITION_CONFIGURE)]

    def on_configured(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if not to_activate:
            return []
        to_activate.clear()
        return [_change_state(node, Transition.TRANSITION_ACTIVATE)]

    configure = RegisterEventHandler(
        OnProcessStart(target_action=node, on_start=[OpaqueFunction(function=on_start)]),
        condition=autostart,
    )
    activate = RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='configuring',
            goal_state='inactive',
            entities=[OpaqueFunction(function=on_configured)],
        ),
        condition=autostart,
    )
    return [configure, activate, node]


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


def _change_state(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
    )
