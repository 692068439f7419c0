# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How busy the Jetson's GPU is, and at which clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from .sysfs import matching, read_number, read_text

LOADS = (
    'sys/devices/platform/bus@0/*.gpu/load',  # Orin, JetPack 6
    'sys/devices/platform/*.gpu/load',
    'sys/devices/*.ga10b/load',  # Orin, JetPack 5
    'sys/devices/*.gv11b/load',
    'sys/devices/*.gp10b/load',
    'sys/devices/gpu.0/load',  # older, often a link to one of those above
)
DEVFREQ = tuple(
    f'sys/class/devfreq/{name}'
    for name in ('*.gpu', '*.ga10b', '*.gv11b', '*.gp10b', '*.gm20b', 'gpu-gpc-0')
)


@dataclass(frozen=True)
class GpuClock:
    """Hertz; nan = unknown. ``max_hz`` below the chip's own is a cap by power mode or heat."""

    current_hz: float = math.nan
    min_hz: float = math.nan
    max_hz: float = math.nan
    governor: str = ''


class GpuLoad:
    """Load and clock of an integrated NVIDIA GPU."""

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._load: Path | None = None
        self._clock: Path | None = None
        self.probe()

    def probe(self) -> bool:
        """Look again: devfreq may come up after us at boot; true if there is a GPU."""
        self._load = next(matching(self._root, *LOADS), None)
        self._clock = next(matching(self._root, *DEVFREQ), None)
        return self._load is not None or self._clock is not None

    def load(self) -> float:
        """0..1; the kernel counts to 1000."""
        if self._load is None:
            return math.nan
        value = read_number(self._load, 1e-3)
        return value if 0.0 <= value <= 1.0 else math.nan

    def clock(self) -> GpuClock:
        """The clock as the kernel believes it; after an over-current event it may be wrong."""
        if self._clock is None:
            return GpuClock()
        return GpuClock(
            read_number(self._clock / 'cur_freq'),
            read_number(self._clock / 'min_freq'),
            read_number(self._clock / 'max_freq'),
            read_text(self._clock / 'governor'),
        )
