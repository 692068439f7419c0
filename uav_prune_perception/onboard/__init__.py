# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The drone's core: pictures in, detections out, the level chosen as conditions allow.

Plain Python, NumPy, OpenCV and one engine library: neither ROS nor torch.
"""

from .frame import Frame
from .level_bank import LevelBank, NoUsableLevel
from .options import PipelineOptions
from .pipeline import Pipeline, UnknownLevel
from .policy.registry import make_policy
from .results import Classification, Detections, Result, Timings
from .state import Health, LevelState
from .statistics import Percentiles, StatisticsSnapshot
from .telemetry import BatteryState, BoardState, Telemetry

__all__ = [
    'BatteryState', 'BoardState', 'Classification', 'Detections', 'Frame', 'Health', 'LevelBank',
    'LevelState', 'NoUsableLevel', 'Percentiles', 'Pipeline', 'PipelineOptions', 'Result',
    'StatisticsSnapshot', 'Telemetry', 'Timings', 'UnknownLevel', 'make_policy',
]
