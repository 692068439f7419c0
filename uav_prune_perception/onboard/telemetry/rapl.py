# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""x86 package power from RAPL's energy counters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from .rails import Rail
from .sysfs import matching, read_number, read_text

# The packages only: intel-rapl:0:0 (cores) and the like lie inside them. psys would be the
# whole platform, but where it exists it holds the packages too.
PATTERN = 'sys/class/powercap/intel-rapl:[0-9]*'
MAX_PLAUSIBLE_W = 2000.0


class Rapl:
    """Mean power of the processor packages between two calls.

    The counters are readable by root only since CVE-2020-8694, and hidden in most containers:
    then everything here is nan and `denied` says so.
    """

    def __init__(
        self, root: Path = Path('/'), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root = root
        self._clock = clock
        self._packages: list[tuple[str, Path, float]] = []
        self._last: dict[Path, tuple[float, float]] = {}
        self.probe()

    def probe(self) -> bool:
        """Look again; true if there is a counter, readable or not."""
        self._packages = [
            (read_text(place / 'name'), place, read_number(place / 'max_energy_range_uj'))
            for place in matching(self._root, PATTERN)
            if place.name.count(':') == 1 and read_text(place / 'name') != 'psys'
        ]
        return bool(self._packages)

    @property
    def denied(self) -> bool:
        """There are counters, but this user may not read them."""
        return bool(self._packages) and all(
            math.isnan(read_number(place / 'energy_uj')) for _, place, _ in self._packages
        )

    def rails(self) -> list[Rail]:
        """Mean power of each package since the last call; nan at the first."""
        return [Rail(name, self._watts(place, wrap)) for name, place, wrap in self._packages]

    def power_w(self) -> float:
        """Sum over the packages, watts: the processor, not the machine."""
        rails = self.rails()
        return sum(rail.power_w for rail in rails) if rails else math.nan

    def _watts(self, place: Path, wrap_uj: float) -> float:
        now_s, energy_uj = self._clock(), read_number(place / 'energy_uj')
        last = self._last.get(place)
        self._last[place] = (now_s, energy_uj)
        if last is None or not now_s > last[0]:
            return math.nan
        used_uj = energy_uj - last[1]
        if used_uj < 0:  # wrapped around; more than once cannot be told, hence the limit
            used_uj += wrap_uj
        watts = used_uj * 1e-6 / (now_s - last[0])
        return watts if 0.0 <= watts <= MAX_PLAUSIBLE_W else math.nan
