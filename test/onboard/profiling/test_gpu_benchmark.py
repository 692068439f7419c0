# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``benchmarks/gpu.py`` on a CPU: its logic, not its results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[3] / 'benchmarks'


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Its ``main`` with a command line; in this process, for torch takes seconds to import."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, 'argv', ['gpu.py', *arguments])
        gpu.main()

    return run


def test_every_way_is_measured_or_named(
    tmp_path: Path, benchmark: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'gpu.json'
    benchmark(
        '--device', 'cpu', '--rounds', '3', '--kept', '0.5', '--only', 'ResNet-20',
        '--ways', 'eager', 'channels_last', 'cuda_graph', '--json', str(out),
    )
    assert 'cuda_graph: left out: RuntimeError: only on a GPU' in capsys.readouterr().out
    rows = json.loads(out.read_text())['ResNet-20 32x32']
    assert {row['way'] for row in rows} == {'eager', 'channels_last'}
    assert [row['to_dense'] for row in rows if row['network'] == 'dense'] == [1.0, 1.0]
    assert all(0 < row['kept_macs'] <= 1 and row['p50_ms'] > 0 for row in rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_it_says_so(
    benchmark: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark()
    assert caught.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith('torch sees no GPU here; --device cpu tries the script')
