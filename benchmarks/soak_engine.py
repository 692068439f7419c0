# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node of the soak: its engines break at random, in flight and while they are loaded."""

from __future__ import annotations

import random
import sys
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
from uav_prune_perception.onboard.engines.base import EngineError

SIDE = 64
CELLS = 84
CLASSES = ('thing', 'other')
LEVELS = ('100', '50', '25')
PROVENANCE = {
    'created': '2026-01-01T00:00:00Z', 'method': 'none', 'seed': 0, 'recipe': {},
    'data_sha256': '0' * 64, 'packages': {},
}
# Chances per inference, and per level while it is loaded.
IN_FLIGHT = {'engine': 4e-4, 'memory': 2e-4, 'shape': 4e-4, 'stall': 4e-4}
AT_LOAD = {'engine': 0.05, 'memory': 0.1}
STALL_S = 0.4


def make_ladder(folder: Path) -> Ladder:
    """Three levels whose models nobody reads (but whose files are verified)."""
    writer = LadderWriter(
        folder, name='soak', task='detection', classes=CLASSES, input=InputSpec(SIDE, SIDE),
        decode=BoxesScores(), provenance=PROVENANCE,
    )
    with writer:
        for name in LEVELS:
            (writer.level_folder(name) / 'model.onnx').write_bytes(f'not read {name}'.encode())
            writer.add_level(
                name, kept_macs=int(name) / 100, macs=int(name), params=1,
                accuracy=Accuracy('mAP50', int(name) / 100, 'made up', 1),
            )
        return writer.commit()


class FaultyEngine:
    """One object in every picture, and now and then a fault. See `Engine` for the methods."""

    def __init__(self, dice: random.Random) -> None:
        self.name = 'faulty'
        self.input_names, self.output_names = ('images',), ('predictions',)
        self.input_shapes = ((1, 3, SIDE, SIDE),)
        self.output_shapes = ((1, 4 + len(CLASSES), CELLS),)
        self.input_dtypes = (np.dtype(np.float32),)
        self._dice = dice
        self._output = np.zeros((1, 4 + len(CLASSES), CELLS), np.float32)
        self._output[0, :, 0] = (8, 8, 40, 40, 0.9, 0.1)

    def load(self) -> None:
        """Out of memory, or a damaged file, now and then."""
        if self._dice.random() < AT_LOAD['memory']:
            raise MemoryError('played: no memory for this level')
        if self._dice.random() < AT_LOAD['engine']:
            raise EngineError('played: the plan is of another version')

    def warm_up(self, runs: int) -> list[float]:
        """As if."""
        return [1.0] * runs

    def infer(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """About a millisecond."""
        time.sleep(self._dice.uniform(0.0002, 0.002))
        if self._dice.random() < IN_FLIGHT['engine']:
            raise EngineError('played: output is not finite')
        if self._dice.random() < IN_FLIGHT['memory']:
            raise MemoryError('played: out of memory in flight')
        if self._dice.random() < IN_FLIGHT['shape']:
            return {'predictions': np.zeros((1, 3, 5), np.float32)}
        if self._dice.random() < IN_FLIGHT['stall']:
            time.sleep(STALL_S)
        return {'predictions': self._output}

    def close(self) -> None:
        """Nothing to free."""


def main(seed: int, ros: list[str]) -> int:
    """Run the node until a signal."""
    from uav_prune_perception.ros.perception_node import PerceptionNode
    from uav_prune_perception.ros.process import keep_image_memory, run

    keep_image_memory()
    dice = random.Random(seed)

    def make(ladder: Ladder, level: Level) -> FaultyEngine:
        return FaultyEngine(dice)

    return run(lambda stop: PerceptionNode(stop, make), [sys.argv[0], *ros])
