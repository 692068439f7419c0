# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch the perception node, and configure and activate it.

ros2 launch uav_prune_perception perception.launch.py ladder:=/path/to/ladder image_topic:=/cam
"""

from __future__ import annotations

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
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

PACKAGE = 'uav_prune_perception'


def generate_launch_description() -> LaunchDescription:
    """The node with its arguments; ``ros2 launch -s`` lists them."""
    config = os.path.join(get_package_share_directory(PACKAGE), 'config')

    namespace = LaunchConfiguration('namespace')
    ladder = LaunchConfiguration('ladder')
    params_file = LaunchConfiguration('params_file')
    image_topic = LaunchConfiguration('image_topic')
    battery_topic = LaunchConfiguration('battery_topic')
    board_topic = LaunchConfiguration('board_topic')
    use_sim_time = LaunchConfiguration('use_sim_time')
    autostart = LaunchConfiguration('autostart')
    respawn = LaunchConfiguration('respawn')
    log_level = LaunchConfiguration('log_level')
    fastdds_profile = LaunchConfiguration('fastdds_profile')

    declare_namespace = DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the node and its topics.'
    )
    declare_ladder = DeclareLaunchArgument(
        'ladder', description='Folder of the ladder to fly (parameter ladder.path).'
    )
    declare_params_file = DeclareLaunchArgument(
        'params_file', default_value=os.path.join(config, 'perception.yaml'),
        description='YAML file with the parameters of the node.',
    )
    declare_image_topic = DeclareLaunchArgument(
        'image_topic', default_value='image',
        description='Camera topic; with input.transport compressed, "/compressed" is added.',
    )
    declare_battery_topic = DeclareLaunchArgument(
        'battery_topic', default_value='battery_state',
        description='sensor_msgs/BatteryState topic (mavros: /mavros/battery).',
    )
    declare_board_topic = DeclareLaunchArgument(
        'board_topic', default_value='board_state',
        description='DiagnosticArray topic with power_w, temperature_c, load of the computer.',
    )
    declare_use_sim_time = DeclareLaunchArgument(
        'use_sim_time', default_value='false', description='Take the time from /clock.'
    )
    declare_autostart = DeclareLaunchArgument(
        'autostart', default_value='true',
        description='Configure and activate the node; false leaves that to a lifecycle manager.',
    )
    declare_respawn = DeclareLaunchArgument(
        'respawn', default_value='false', description='Start the node again when it ends.'
    )
    declare_log_level = DeclareLaunchArgument(
        'log_level', default_value='info', description='debug, info, warn, error or fatal.'
    )
    # A profile that the user has set already is the user's business.
    declare_fastdds_profile = DeclareLaunchArgument(
        'fastdds_profile',
        default_value=os.environ.get(
            'FASTDDS_DEFAULT_PROFILES_FILE', os.path.join(config, 'fastdds_shm.xml')
        ),
        description='Fast DDS profile, by default one that large images get through with; the '
        'camera driver needs it, too. none = leave it to Fast DDS.',
    )

    buffered_log = SetEnvironmentVariable('RCUTILS_LOGGING_BUFFERED_STREAM', '1')
    set_profile = SetEnvironmentVariable(
        'FASTDDS_DEFAULT_PROFILES_FILE', fastdds_profile,
        condition=IfCondition(
            PythonExpression(["'", fastdds_profile, "' not in ('', 'none')"])
        ),
    )
    node = LifecycleNode(
        package=PACKAGE,
        executable='perception_node',
        name='perception',
        namespace=namespace,
        parameters=[
            ParameterFile(params_file, allow_substs=True),
            {
                'ladder.path': ParameterValue(ladder, value_type=str),
                'use_sim_time': ParameterValue(use_sim_time, value_type=bool),
            },
        ],
        remappings=[
            ('image', image_topic),
            ('image/compressed', [image_topic, '/compressed']),
            ('battery_state', battery_topic),
            ('board_state', board_topic),
        ],
        arguments=['--ros-args', '--log-level', log_level],
        respawn=respawn,
        respawn_delay=2.0,
        output='screen',
        emulate_tty=True,
    )
    # By events: LifecycleNode(autostart=...) does not exist on Humble. After a respawn the
    # process start configures it again.
    configure = RegisterEventHandler(
        OnProcessStart(
            target_action=node,
            on_start=[_change_state(node, Transition.TRANSITION_CONFIGURE)],
        ),
        condition=IfCondition(autostart),
    )
    activate = RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='configuring',
            goal_state='inactive',
            entities=[_change_state(node, Transition.TRANSITION_ACTIVATE)],
        ),
        condition=IfCondition(autostart),
    )

    ld = LaunchDescription()
    for declaration in (
        declare_namespace, declare_ladder, declare_params_file, declare_image_topic,
        declare_battery_topic, declare_board_topic, declare_use_sim_time, declare_autostart,
        declare_respawn, declare_log_level, declare_fastdds_profile,
    ):
        ld.add_action(declaration)
    ld.add_action(buffered_log)
    ld.add_action(set_profile)
    ld.add_action(configure)
    ld.add_action(activate)
    ld.add_action(node)
    return ld


def _change_state(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
    )
