# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A world small enough to know the right answer by hand."""

from __future__ import annotations

import math

import numpy as np

from uav_prune_perception.onboard.simulation import SimulatedLevel, World


def small_world(latency_ms, accuracy, *, deadline_ms=30.0, hz=30.0, **changes):
    """``latency_ms`` is [levels, frames]; accuracy one number per level."""
    latency_ms = np.asarray(latency_ms, float)
    count, frames = latency_ms.shape
    levels = tuple(
        SimulatedLevel(str(i), 1.0, accuracy[i], float(latency_ms[i, 0]), 0.1, 0.1 / (i + 1))
        for i in range(count)
    )
    values = {
        'name': 'small', 'seed': 0, 'levels': levels, 'deadline_ms': deadline_ms,
        'arrival_s': np.arange(frames) / hz, 'latency_ms': latency_ms,
        'accuracy': np.tile(np.array(accuracy)[:, None], (1, frames)),
        'ambient_c': np.full(frames, 25.0), 'other_w': np.zeros(frames),
        'hover_w': np.zeros(frames), 'power_limit_w': np.full(frames, math.inf),
        'power_dead': np.zeros(frames, bool), 'power_frozen': np.zeros(frames, bool),
        'switch_ms': 0.0, **changes,
    }
    return World(**values)
