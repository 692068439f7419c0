# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps `Telemetry` supplied with this machine's readings."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from .board_reader import BoardReader
from .snapshot import Telemetry

JOIN_S = 2.0


class BoardSampler:
    """Samples the board into a `Telemetry`, off the control loop.

    Args:
        telemetry: receives a `BoardState` every period.
        root: where ``sys`` and ``proc`` lie.
        period_s: 0.05..1; an i2c read costs about half a millisecond per register.

    Raises:
        ValueError: the period is out of range.
    """

    def __init__(
        self, telemetry: Telemetry, root: Path = Path('/'), *, period_s: float = 0.1
    ) -> None:
        if not 0.05 <= period_s <= 1.0:
            raise ValueError(f'period_s is {period_s}, must be 0.05..1 (20 to 1 Hz)')
        self.reader = BoardReader(root)
        self._telemetry = telemetry
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start sampling; harmless when running."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._work, name='telemetry', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)
            self._thread = None

    def _work(self) -> None:
        while not self._stop.is_set():
            self._telemetry.update_sensors(self.reader.read(time.monotonic()))
            self._stop.wait(self._period_s)
