# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Jetson's power mode: read, never changed (a change may ask for a reboot in flight)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .sysfs import read_text

STATUS = 'var/lib/nvpmodel/status'  # "pmode:0002 fmode:..."
TABLE = 'etc/nvpmodel.conf'
_STATUS = re.compile(r'pmode:(\d+)')
_MODE = re.compile(r'<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>')


@dataclass(frozen=True)
class PowerMode:
    """Latency profiles are of one mode: a change makes them wrong until corrected online."""

    number: int
    name: str


class NvpModel:
    """The power mode in force."""

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root

    def mode(self) -> PowerMode | None:
        """None on other machines, or when it cannot be read."""
        found = _STATUS.search(read_text(self._root / STATUS))
        if found is None:
            return None
        number = int(found.group(1))
        return PowerMode(number, self.names().get(number, ''))

    def names(self) -> dict[int, str]:
        """All modes of this board."""
        found = _MODE.findall(read_text(self._root / TABLE))
        return {int(number): name for number, name in found}
