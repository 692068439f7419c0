# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How busy the processor cores are, and at which clock."""

from __future__ import annotations

import math
from pathlib import Path

from .sysfs import matching, read_number, read_text

IDLE = (3, 4)  # columns idle and iowait
COUNTED = 8  # user nice system idle iowait irq softirq steal; guest is inside user


class CpuLoad:
    """Mean over all cores between two calls, from ``/proc/stat``."""

    def __init__(self, root: Path = Path('/')) -> None:
        self._path = root / 'proc/stat'
        self._last = self._ticks()

    def probe(self) -> bool:
        """True if the kernel tells."""
        return self._ticks() is not None

    def load(self) -> float:
        """0..1 since the last call (or since the start); nan when no tick has passed."""
        now, last = self._ticks(), self._last
        self._last = now or last
        if now is None or last is None:
            return math.nan
        total, idle = now[0] - last[0], now[1] - last[1]
        if total <= 0:
            return math.nan
        return min(1.0, max(0.0, 1.0 - idle / total))

    def _ticks(self) -> tuple[float, float] | None:
        """All ticks and idle ticks since boot."""
        words = read_text(self._path).partition('\n')[0].split()
        try:
            values = [float(word) for word in words[1:1 + COUNTED]]
        except ValueError:
            return None
        if not words or words[0] != 'cpu' or len(values) <= max(IDLE):
            return None
        return sum(values), sum(values[column] for column in IDLE)


def clock_hz(root: Path = Path('/')) -> float:
    """The fastest core's clock as the kernel believes it; nan in most virtual machines."""
    pattern = 'sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq'
    clocks = [read_number(path, 1e3) for path in matching(root, pattern)]
    return max((clock for clock in clocks if not math.isnan(clock)), default=math.nan)
