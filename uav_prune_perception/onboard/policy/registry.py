# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies by name."""

from __future__ import annotations

import dataclasses
from typing import Any

from .alert import AlertOptions, AlertPolicy
from .base import Policy
from .calibrated import CalibratedPolicy
from .calibrated_options import CalibratedOptions
from .hysteresis import HysteresisOptions, HysteresisPolicy
from .pid import PidOptions, PidPolicy
from .static import StaticOptions, StaticPolicy

POLICIES: dict[str, tuple[Any, Any]] = {  # name -> (policy, its options)
    'alert': (AlertPolicy, AlertOptions),
    'calibrated': (CalibratedPolicy, CalibratedOptions),
    'hysteresis': (HysteresisPolicy, HysteresisOptions),
    'pid': (PidPolicy, PidOptions),
    'static': (StaticPolicy, StaticOptions),
}
DEFAULT = 'hysteresis'


def make_policy(name: str = DEFAULT, **options: Any) -> Policy:
    """A new policy.

    Args:
        name: a key of ``POLICIES``.
        options: fields of that policy's options class.

    Raises:
        ValueError: no such policy, no such option, or a value out of range.
    """
    if name not in POLICIES:
        raise ValueError(f'no policy "{name}"; there are {", ".join(POLICIES)}')
    policy, options_type = POLICIES[name]
    known = [item.name for item in dataclasses.fields(options_type)]
    unknown = [option for option in options if option not in known]
    if unknown:
        has = ', '.join(known)
        raise ValueError(f'policy "{name}" has no option {", ".join(unknown)}; it has {has}')
    return policy(options_type(**options))
