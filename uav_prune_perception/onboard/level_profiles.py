# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What one inference of each level costs on this board: measured, profiled, or scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..ladder import DeviceProfile, Ladder
from .engines.selection import precision_of

FIXED_SHARE = 0.1  # of the dense network's time that does not shrink with its MACs


@dataclass(frozen=True)
class LevelCost:
    """Of one inference; nan = unknown.

    Attributes:
        latency_ms: p50.
        energy_j: joules.
    """

    latency_ms: float = math.nan
    energy_j: float = math.nan


def profiled_costs(
    ladder: Ladder, device: str, precision: str = 'fp32'
) -> tuple[LevelCost, ...]:
    """What the ladder's profiles say of a device, by its name in the ladder; nan where nothing.

    Args:
        ladder: to be flown.
        device: see `telemetry.machine.device_name`.
        precision: in which it is flown; see `precision_of`.
    """
    flown = [(level, precision_of(level, precision, device)) for level in ladder.levels]
    return tuple(
        _cost(level.precision(name).profiles.get(device) if name in level.precisions else None)
        for level, name in flown
    )


def level_costs(
    ladder: Ladder, profiled: Sequence[LevelCost], measured_ms: Sequence[float]
) -> tuple[LevelCost, ...]:
    """The best that is known of every level.

    Latency: as measured here, else as profiled, else scaled by MACs from those that are known.
    Energy: as profiled, else as many watts as the profiled levels need; nan where none has any:
    then a policy assumes a figure and learns the scale in flight.
    """
    kept = [level.kept_macs for level in ladder.levels]
    latency = [
        cost.latency_ms if math.isnan(ms) else ms
        for cost, ms in zip(profiled, measured_ms, strict=True)
    ]
    known = [(_size(share), ms) for share, ms in zip(kept, latency, strict=True) if ms > 0]
    per_size = sum(ms for _, ms in known) / sum(size for size, _ in known) if known else math.nan
    latency = [ms if ms > 0 else per_size * _size(share)
               for share, ms in zip(kept, latency, strict=True)]
    both = [(cost.energy_j, cost.latency_ms) for cost in profiled if cost.energy_j > 0]
    per_ms = sum(j for j, _ in both) / sum(ms for _, ms in both) if both else math.nan
    return tuple(
        LevelCost(ms, cost.energy_j if cost.energy_j > 0 else per_ms * ms)
        for ms, cost in zip(latency, profiled, strict=True)
    )


def _cost(profile: DeviceProfile | None) -> LevelCost:
    if profile is None:
        return LevelCost()
    energy_j = math.nan if profile.energy_j is None else profile.energy_j
    return LevelCost(profile.latency_ms_p50, energy_j)


def _size(kept_macs: float) -> float:
    return FIXED_SHARE + (1.0 - FIXED_SHARE) * kept_macs
