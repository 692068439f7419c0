# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Flights on recorded or made-up traces: how good is a policy, and against what?"""

from .bootstrap import Comparison, compare
from .flight import FlightLog, fly
from .metrics import Metrics, measure
from .oracle import LOAD_ONLY, Knowledge, best_schedule
from .scenarios import SCENARIOS, make_world
from .traces import LatencyTrace, made_up_trace, read_trace, write_trace
from .world import SimulatedLevel, World

__all__ = [
    'LOAD_ONLY', 'SCENARIOS', 'Comparison', 'FlightLog', 'Knowledge', 'LatencyTrace', 'Metrics',
    'SimulatedLevel', 'World', 'best_schedule', 'compare', 'fly', 'made_up_trace', 'make_world',
    'measure', 'read_trace', 'write_trace',
]
