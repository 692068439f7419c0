# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a level costs on this machine: latency, throughput, memory, energy. Without torch."""

from .levels import load_measured, profile_engines, slower_levels, timed_rounds
from .power_meter import PowerMeter

__all__ = ['PowerMeter', 'load_measured', 'profile_engines', 'slower_levels', 'timed_rounds']
