# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much memory there is, and how much this process holds."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .telemetry.sysfs import read_number, read_text

CGROUP = 'sys/fs/cgroup'


def available_bytes(root: Path = Path('/')) -> float:
    """What may still be taken: of the machine, or of this container where that is less.

    nan where neither says anything. On a Jetson the GPU's memory is the same memory.
    """
    limits = [_machine(root), _container(root)]
    return min((value for value in limits if not math.isnan(value)), default=math.nan)


def resident_bytes(root: Path = Path('/')) -> float:
    """Resident set of this process; nan where unknown."""
    fields = read_text(root / 'proc/self/statm').split()
    return float(fields[1]) * os.sysconf('SC_PAGE_SIZE') if len(fields) > 1 else math.nan


def _machine(root: Path) -> float:
    for line in read_text(root / 'proc/meminfo').splitlines():
        key, _, value = line.partition(':')
        if key == 'MemAvailable':
            return float(value.split()[0]) * 1024.0
    return math.nan


def _container(root: Path) -> float:
    """Cgroup v2; "max", which is no number, is no limit.

    Files that were read count as used there, though the kernel gives them up first.
    """
    folder = root / CGROUP
    used = read_number(folder / 'memory.current')
    for line in read_text(folder / 'memory.stat').splitlines():
        if line.startswith('inactive_file '):
            used -= float(line.split()[1])
    return read_number(folder / 'memory.max') - used
