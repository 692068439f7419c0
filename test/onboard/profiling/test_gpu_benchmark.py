# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``benchmarks/gpu.py`` on a CPU: its logic, not its results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / 'benchmarks' / 'gpu.py'


@pytest.mark.slow
def test_every_way_is_measured_or_named(tmp_path: Path) -> None:
    out = tmp_path / 'gpu.json'
    done = subprocess.run(
        [sys.executable, str(SCRIPT), '--device', 'cpu', '--rounds', '3', '--kept', '0.5',
         '--only', 'ResNet-20', '--ways', 'eager', 'channels_last', 'cuda_graph',
         '--json', str(out)],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'cuda_graph: left out: RuntimeError: only on a GPU' in done.stdout
    rows = json.loads(out.read_text())['ResNet-20 32x32']
    assert {row['way'] for row in rows} == {'eager', 'channels_last'}
    assert [row['to_dense'] for row in rows if row['network'] == 'dense'] == [1.0, 1.0]
    assert all(0 < row['kept_macs'] <= 1 and row['p50_ms'] > 0 for row in rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith('torch sees no GPU here; --device cpu tries the script')
