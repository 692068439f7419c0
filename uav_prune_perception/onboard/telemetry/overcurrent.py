# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Jetson's over-current event counters: the strongest "step down now" there is."""

from __future__ import annotations

import math
from pathlib import Path

from .sysfs import matching, read_number

PATTERN = 'sys/class/hwmon/hwmon*/oc*_event_cnt'


class OverCurrent:
    """Counts events since it was made.

    Levels mean nothing (inrush at boot leaves a 1 behind): only what is added counts. On a
    Nano the cause is mostly a thin supply cable; the remedy in flight is the same.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._last: dict[Path, float] = {}
        self.probe()

    def probe(self) -> bool:
        """Look for counters again; true if there are any. What is known already keeps counting."""
        for path in matching(self._root, PATTERN):
            self._last.setdefault(path, read_number(path))
        return bool(self._last)

    def new_events(self) -> dict[str, int]:
        """Events since the last call, by counter (``oc1``...); those without any are left out."""
        new: dict[str, int] = {}
        for path, last in self._last.items():
            value = read_number(path)
            if math.isnan(value):
                continue
            self._last[path] = value
            # The first number after silence is a level, and a fall is a reset: both are no news.
            if value > last:
                name = path.name.split('_')[0]
                new[name] = new.get(name, 0) + int(value - last)
        return new
