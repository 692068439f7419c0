#!/usr/bin/env bash
# Sources ROS and the workspace, then runs what was asked for.
set -e
source "/opt/ros/${ROS_DISTRO:-humble}/setup.bash"
source /workspace/install/setup.bash
exec "$@"
