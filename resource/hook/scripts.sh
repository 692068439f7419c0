# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
# "uav-prune" without "ros2 run uav_prune_perception" before it, in a colcon workspace.
_colcon_prepend_unique_value PATH "$COLCON_CURRENT_PREFIX/lib/uav_prune_perception"
