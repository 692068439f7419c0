# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Time of decoding one picture's output, by objects in it: 8,400 candidates, as YOLO has at 640.

    python benchmarks/decode.py [--classes 80] [--runs 200]

Every object is seen by six candidates above the threshold, which suppression has to sort out.
CPU time of the process, milliseconds; median and the best of the runs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from uav_prune_perception.ladder import BoxesScores, InputSpec, Ladder
from uav_prune_perception.onboard.decode import Decoder
from uav_prune_perception.onboard.options import PipelineOptions
from uav_prune_perception.onboard.preprocess import Geometry

CANDIDATES, SEEN_BY = 8400, 6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--runs', type=int, default=200)
    options = parser.parse_args()
    names = tuple(f'class{i}' for i in range(options.classes))
    spec = InputSpec(640, 640)
    ladder = Ladder('l', 'detection', names, spec, BoxesScores(), {}, (), Path('l'))
    whole = Geometry.fit(640, 640, spec)
    ways = {
        'plain': PipelineOptions(),
        'agnostic': PipelineOptions(class_aware_nms=False),
        'class thresholds': PipelineOptions(class_thresholds={'class0': 0.4, 'class1': 0.2}),
        'one class': PipelineOptions(class_filter=('class0',)),
    }
    print(f'{CANDIDATES} candidates, {options.classes} classes, {options.runs} runs')
    print('median (best), ms')
    print(f'{"objects":>8s} ' + ' '.join(f'{way:>16s}' for way in ways))
    for objects in (0, 10, 30, 100, 300):
        outputs = {'predictions': crowd(objects, options.classes)}
        cells = []
        for settings in ways.values():
            decoder, times = Decoder(ladder, settings), []
            for _ in range(options.runs):
                start = time.process_time()
                decoder(outputs, whole)
                times.append(1e3 * (time.process_time() - start))
            cells.append(f'{np.median(times):8.2f} ({min(times):.2f})')
        print(f'{objects:8d} ' + ' '.join(f'{cell:>16s}' for cell in cells))


def crowd(objects: int, classes: int) -> np.ndarray:
    """float32 [1, 4 + classes, 8400]: noise below the threshold, and the objects."""
    random = np.random.default_rng(0)
    tensor = np.zeros((1, 4 + classes, CANDIDATES), np.float32)
    tensor[0, 4:] = random.random((classes, CANDIDATES)) * 0.1
    count = objects * SEEN_BY
    start = random.uniform(0, 600, (objects, 2)).repeat(SEEN_BY, axis=0)
    where = random.choice(CANDIDATES, count, replace=False)
    tensor[0, :2, where] = start + random.uniform(0, 3, (count, 2))
    tensor[0, 2:4, where] = tensor[0, :2, where] + random.uniform(20, 40, (count, 2))
    labels = random.integers(0, min(3, classes), objects).repeat(SEEN_BY)
    tensor[0, 4 + labels, where] = random.uniform(0.3, 1, count)
    return tensor


if __name__ == '__main__':
    main()
