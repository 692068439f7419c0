# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which machine this is."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from .nvpmodel import NvpModel
from .sysfs import read_text

_RELEASE = re.compile(r'#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)')
_CPU = re.compile(r'^model name\s*:\s*(.+)$', re.MULTILINE)
_MODELS = ('proc/device-tree/model', 'sys/firmware/devicetree/base/model')


def device_name(root: Path = Path('/')) -> str:
    """What this machine is called, in a ladder's profiles and as ``hardware_id`` on topics.

    The board's model (device tree) with the power mode where it has one, for latencies measured
    in one mode say nothing of another: 'NVIDIA Jetson Orin Nano Developer Kit, 25W'. Elsewhere
    the processor and the cores that this process may use: 'AMD EPYC x2'.
    """
    board = next((name for path in _MODELS if (name := read_text(root / path))), '')
    if not board:
        found = _CPU.search(read_text(root / 'proc/cpuinfo'))
        processor = found.group(1).strip() if found else platform.machine() or 'unknown processor'
        return f'{processor} x{usable_cores()}'
    mode = NvpModel(root).mode()
    return f'{board}, {mode.name or f"mode {mode.number}"}' if mode else board


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def l4t_release(root: Path = Path('/')) -> str:
    """Jetson Linux release such as '36.4.3'; '' elsewhere."""
    found = _RELEASE.search(read_text(root / 'etc/nv_tegra_release'))
    return f'{found.group(1)}.{found.group(2)}' if found else ''
