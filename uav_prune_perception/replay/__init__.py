# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded flights through a ladder, with no ROS installed."""

from .player import ReplayError, replay
from .source import Source, open_source

__all__ = ['ReplayError', 'Source', 'open_source', 'replay']
