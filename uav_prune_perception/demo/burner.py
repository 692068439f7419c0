# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real contention: processes that keep the cores busy while the scenario says so."""

from __future__ import annotations

import subprocess
import sys

# Large matrix products on one thread: they fight for the cores and for memory bandwidth.
_CODE = """
import os
os.environ['OMP_NUM_THREADS'] = os.environ['OPENBLAS_NUM_THREADS'] = '1'
import numpy as np
a = np.random.default_rng(0).random((512, 512))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(8):
        a @ a
"""


class Burners:
    """A changing number of burner processes; all end with this one."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def set(self, count: int) -> None:
        """Start or end processes until ``count`` run."""
        while len(self._processes) < count:
            process = subprocess.Popen([sys.executable, '-c', _CODE])
            self._processes.append(process)
        while len(self._processes) > count:
            process = self._processes.pop()
            process.kill()
            process.wait()
