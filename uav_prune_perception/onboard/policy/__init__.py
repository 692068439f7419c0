# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who chooses the level, and how."""

from .base import Decision, FrameTime, LevelInfo, Observation, Policy, RecentLatency
from .registry import POLICIES, make_policy

__all__ = [
    'POLICIES', 'Decision', 'FrameTime', 'LevelInfo', 'Observation', 'Policy', 'RecentLatency',
    'make_policy',
]
