# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Mean power of this machine while something runs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..telemetry.board_reader import PowerSource
from ..telemetry.ina238 import Ina238
from ..telemetry.ina3221 import Ina3221
from ..telemetry.rapl import Rapl
from ..telemetry.raspberry_pi import RaspberryPi

SAMPLE_S = 0.05  # an INA3221 averages by itself; reading it costs about half a millisecond


class PowerMeter:
    """The first power source that this machine has and that may be read.

    Args:
        root: where ``sys`` and ``proc`` lie.
        source: in place of the machine's own.

    Attributes:
        source_name: such as 'Ina3221'; '' = none.
    """

    def __init__(self, root: Path = Path('/'), source: PowerSource | None = None) -> None:
        self._source = source if source is not None else _first_source(root)
        self.source_name = type(self._source).__name__ if self._source is not None else ''

    def __bool__(self) -> bool:
        """Whether there is anything to read."""
        return self._source is not None

    def mean_w(self, work: Callable[[], None]) -> float:
        """Mean watts while ``work`` runs, weighted by time; nan = could not be read.

        RAPL answers with the mean since it was last asked, the others with the moment.
        """
        if self._source is None:
            work()
            return math.nan
        samples: list[tuple[float, float]] = []
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(samples, done), daemon=True)
        self._source.power_w()  # from here on counts what counters count
        watcher.start()
        try:
            work()
        finally:
            done.set()
            watcher.join()
        known = [(seconds, watts) for seconds, watts in samples if math.isfinite(watts)]
        total_s = sum(seconds for seconds, _ in known)
        return sum(seconds * watts for seconds, watts in known) / total_s if total_s else math.nan

    def _watch(self, samples: list[tuple[float, float]], done: threading.Event) -> None:
        assert self._source is not None
        last_s, finished = time.monotonic(), False
        while not finished:
            finished = done.wait(SAMPLE_S)
            watts, now_s = self._source.power_w(), time.monotonic()
            samples.append((now_s - last_s, watts))
            last_s = now_s


def _first_source(root: Path) -> PowerSource | None:
    for source in (Ina3221(root), Ina238(root)):
        if source.probe() and math.isfinite(source.power_w()):
            return source
    rapl = Rapl(root)
    if rapl.probe() and not rapl.denied:
        return rapl
    pi = RaspberryPi(root)
    return pi if math.isfinite(pi.power_w()) else None
