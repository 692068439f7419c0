# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The drone's process must not carry the workstation's libraries."""

from __future__ import annotations

import subprocess
import sys

import tiny_ladder

PROGRAM = """
import importlib, pkgutil, sys, queue
import numpy as np
for name in ('uav_prune_perception.ladder', 'uav_prune_perception.onboard'):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + '.'):
        importlib.import_module(module.name)

from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.onboard import Frame, Pipeline, PipelineOptions, make_policy

results = queue.Queue()
pipeline = Pipeline(open_ladder(sys.argv[1]), policy=make_policy(), on_result=results.put,
                    options=PipelineOptions(threads=1))
pipeline.load()
pipeline.start()
image = np.zeros((256, 320, 3), np.uint8)
image[40:80, 40:120] = 255
pipeline.submit(Frame(image, 'bgr'))
print('boxes', results.get(timeout=30).detections.boxes.tolist())
pipeline.close()
print('modules', len(sys.modules))
forbidden = {'torch', 'rclpy', 'pydantic', 'matplotlib', 'onnx'}
print('forbidden', sorted(forbidden & set(sys.modules)))
"""


def test_the_onboard_half_runs_a_level_without_torch(tmp_path):
    tiny_ladder.make_detection_ladder(tmp_path / 'ladder', 2)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(tmp_path / 'ladder')],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'boxes [[40.0, 40.0, 120.0, 80.0]]'
    assert lines[-1] == 'forbidden []'
