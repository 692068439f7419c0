# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Under which name this machine's Fast DDS looks for its profile (config/fastdds_shm.xml)."""

from __future__ import annotations

import importlib.metadata

FAST_DDS_3 = 'FASTDDS_DEFAULT_PROFILES_FILE'
FAST_DDS_2 = 'FASTRTPS_DEFAULT_PROFILES_FILE'
FIRST_RCLPY = 9  # of Kilted, the first distribution with Fast DDS 3


def profile_variable() -> str:
    """The environment variable that is read here.

    Humble's and Jazzy's Fast DDS 2 reads one name and Kilted's Fast DDS 3 the other. It must be
    one of them: Kilted's rmw_fastrtps honours the old name as well, and with both loads the
    profile twice, which Fast DDS answers with errors.
    """
    try:
        major = int(importlib.metadata.version('rclpy').partition('.')[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return FAST_DDS_3
    return FAST_DDS_3 if major >= FIRST_RCLPY else FAST_DDS_2
