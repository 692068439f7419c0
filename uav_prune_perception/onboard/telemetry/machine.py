# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which machine this is."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from .sysfs import read_text

_RELEASE = re.compile(r'#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)')
_CPU = re.compile(r'^model name\s*:\s*(.+)$', re.MULTILINE)


def board_model(root: Path = Path('/')) -> str:
    """From the device tree (ARM), else the mainboard's or the processor's name; '' = unknown."""
    names = (
        read_text(root / 'proc/device-tree/model'),
        read_text(root / 'sys/class/dmi/id/product_name'),
    )
    found = _CPU.search(read_text(root / 'proc/cpuinfo'))
    return next((name for name in names if name), found.group(1).strip() if found else '')


def l4t_release(root: Path = Path('/')) -> str:
    """Jetson Linux release such as '36.4.3'; '' elsewhere."""
    found = _RELEASE.search(read_text(root / 'etc/nv_tegra_release'))
    return f'{found.group(1)}.{found.group(2)}' if found else ''


def device_name(root: Path = Path('/')) -> str:
    """What this machine is called in a ladder: board or processor, and its usable cores."""
    board = read_text(root / 'proc/device-tree/model')
    if board:
        return board
    found = _CPU.search(read_text(root / 'proc/cpuinfo'))
    processor = found.group(1).strip() if found else platform.processor() or platform.machine()
    return f'{processor} x{usable_cores()}'


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))
