# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who flies in the policy benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from uav_prune_perception.onboard.policy.alert import AlertOptions, AlertPolicy
from uav_prune_perception.onboard.policy.calibrated import CalibratedPolicy
from uav_prune_perception.onboard.policy.calibrated_options import CalibratedOptions
from uav_prune_perception.onboard.policy.hysteresis import HysteresisOptions, HysteresisPolicy
from uav_prune_perception.onboard.policy.pid import PidOptions, PidPolicy
from uav_prune_perception.onboard.simulation import LOAD_ONLY, World, best_schedule
from uav_prune_perception.onboard.simulation.baselines import (
    FrameSkipOptions,
    FrameSkipPolicy,
    TemperatureOptions,
    TemperaturePolicy,
)
from uav_prune_perception.onboard.simulation.flight import Schedule

ORACLE, BOUND, OURS = 'oracle', 'bound: knows the load, no frame', 'calibrated'
MAX_EVERY = 4
Pilot = Callable[[World], Any]


def pilots(world: World) -> dict[str, Pilot]:
    """Name -> maker, for the levels of this world."""
    made: dict[str, Pilot] = {
        ORACLE: best_schedule,
        BOUND: lambda world: best_schedule(world, LOAD_ONLY),
        OURS: _policy(CalibratedPolicy, CalibratedOptions, max_every=MAX_EVERY),
        'calibrated, no skipping': _policy(CalibratedPolicy, CalibratedOptions),
        'ALERT as published': _policy(AlertPolicy, AlertOptions),
        'hysteresis': _policy(HysteresisPolicy, HysteresisOptions),
        'hysteresis, temperature': _policy(TemperaturePolicy, TemperatureOptions),
        'PID': _policy(PidPolicy, PidOptions),
        'frame skipping only': _policy(FrameSkipPolicy, FrameSkipOptions),
    }
    for index, level in enumerate(world.levels):
        made[f'static {level.name}'] = _static(index)
    return made


def _static(level: int) -> Pilot:
    def make(world: World) -> Schedule:
        return Schedule(np.full(world.frames, level), np.ones(world.frames, int))

    return make


def _policy(policy: Any, options: Any, **fixed: Any) -> Pilot:
    """A maker that hands over those of the scenario's settings that the policy has."""
    known = {field.name for field in dataclasses.fields(options)}

    def make(world: World) -> Any:
        settings = {key: value for key, value in world.settings.items() if key in known}
        return policy(options(**{**settings, **fixed}))

    return make
