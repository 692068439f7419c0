# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that takes a fixed time and no CPU, as one on a GPU does: the rest is the node's own.

Its output is that of a 640 x 640 detector on a picture with ten objects: [1, 4 + 4, 8400].
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from uav_prune_perception.ladder import (
    Accuracy,
    BoxesScores,
    InputSpec,
    Ladder,
    LadderWriter,
    Level,
)

CLASSES = ('person', 'car', 'bicycle', 'other')
SIDE = 640
CELLS = 8400  # of strides 8, 16 and 32
OBJECTS = 10
PROVENANCE = {
    'created': '2026-01-01T00:00:00Z', 'method': 'none', 'seed': 0, 'recipe': {},
    'data_sha256': '0' * 64, 'packages': {},
}


def make_ladder(folder: Path) -> Ladder:
    """A ladder of one level, whose model nobody reads."""
    writer = LadderWriter(
        folder, name='fixed time', task='detection', classes=CLASSES,
        input=InputSpec(SIDE, SIDE), decode=BoxesScores(box_format='cxcywh'),
        provenance=PROVENANCE,
    )
    with writer:
        (writer.level_folder('100') / 'model.onnx').write_bytes(b'not read')
        writer.add_level(
            '100', kept_macs=1.0, macs=1, params=1, accuracy=Accuracy('mAP50', 0.5, 'made up', 1)
        )
        return writer.commit()


def canned_output() -> np.ndarray:
    """Ten objects, each found by a handful of cells, before a background of low scores."""
    random = np.random.default_rng(0)
    output = np.zeros((1, 4 + len(CLASSES), CELLS), np.float32)
    output[0, :2] = random.uniform(0, SIDE, (2, CELLS))
    output[0, 2:4] = random.uniform(8, 64, (2, CELLS))
    output[0, 4:] = random.uniform(0, 0.1, (len(CLASSES), CELLS))
    for number in range(OBJECTS):
        cells = random.choice(CELLS, 6, replace=False)
        centre = random.uniform(80, SIDE - 80, 2)
        output[0, :2, cells] = centre + random.uniform(-2, 2, (6, 2))
        output[0, 2:4, cells] = (40, 30)
        output[0, 4 + number % len(CLASSES), cells] = random.uniform(0.5, 0.95, 6)
    return output


class FixedTimeEngine:
    """Sleeps; remembers how long it really slept. See `Engine` for the methods."""

    def __init__(self, ms: float, log: Path | None = None) -> None:
        """``log``: where `close` writes the milliseconds of all inferences, as JSON."""
        self.name = 'fixed time'
        self.input_names, self.output_names = ('images',), ('predictions',)
        self.input_shapes = ((1, 3, SIDE, SIDE),)
        self.output_shapes = ((1, 4 + len(CLASSES), CELLS),)
        self.input_dtypes = (np.dtype(np.float32),)
        self._ms, self._log = ms, log
        self._output = canned_output()
        self._times: list[float] = []

    def load(self) -> None:
        """Nothing to do."""

    def warm_up(self, runs: int) -> list[float]:
        """As if."""
        return [self._ms] * runs

    def infer(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Sleep, and always see the same."""
        start = time.perf_counter()
        time.sleep(self._ms / 1e3)
        self._times.append((time.perf_counter() - start) * 1e3)
        return {'predictions': self._output}

    def close(self) -> None:
        """Write the log."""
        if self._log is not None:
            self._log.write_text(json.dumps(self._times))


def factory(ms: float, log: Path | None) -> object:
    """For `PerceptionNode`."""

    def make(ladder: Ladder, level: Level) -> FixedTimeEngine:
        return FixedTimeEngine(ms, log)

    return make
