# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of methods, on a toy CIFAR-10: honest rows, and a kill that loses one run."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from uav_prune_perception.methods.registry import make_method

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Binary batches of 30 pictures each."""
    root = tmp_path_factory.mktemp('data')
    (root / 'cifar10').mkdir()
    random = np.random.default_rng(0)
    for name in (*(f'data_batch_{index}' for index in range(1, 6)), 'test_batch'):
        rows = random.integers(0, 256, (30, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(30) % 10
        (root / 'cifar10' / f'{name}.bin').write_bytes(rows.tobytes())
    (root / 'cifar10' / 'batches.meta.txt').write_text('\n'.join('abcdefghij'))
    return root


def command(data: Path, out: Path) -> list[str]:
    return [
        sys.executable, str(BENCHMARKS / 'methods.py'), '--setting', 'smoke', '--data', str(data),
        '--out', str(out), '--work', str(out / 'work'), '--only', 'L1 global', 'L1 uniform',
    ]


def environment() -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': str(BENCHMARKS.parent), 'OMP_NUM_THREADS': '1'}


def rows(out: Path) -> list[dict[str, object]]:
    path = out / 'methods_smoke.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_benchmark_goes_on_with_what_is_missing(data: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(data, tmp_path), env=environment(), stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 180
    while len(rows(tmp_path)) < 2 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows(tmp_path)
    assert len(before) >= 2, 'a line is there as soon as its run has ended'
    with (tmp_path / 'methods_smoke.jsonl').open('a') as stream:
        stream.write('{"key": "half a li')  # as a power cut leaves it
        stream.write('\n')
    done = subprocess.run(
        command(data, tmp_path), env=environment(), capture_output=True, text=True,
        timeout=200, check=True,
    )
    lines = (tmp_path / 'methods_smoke.jsonl').read_text().splitlines()
    after = [json.loads(line) for line in lines if not line.endswith('half a li')]
    assert after[:len(before)] == before
    assert sorted(row['name'] for row in after) == [
        'L1 global', 'L1 global, distilled', 'L1 uniform', 'dense'
    ]
    for row in after[1:]:
        assert row['batches'] == 2, 'the whole budget and no more'
        assert row['test_reads'] == 1
        assert row['macs_cut'] == pytest.approx(0.5, abs=0.01)
        assert 0 <= row['top1'] <= 1
        assert row['n'] == 30
        assert row['latency_ratio'] > 0
    table = (tmp_path / 'methods_smoke.md').read_text()
    assert '| L1 uniform | baseline |' in table
    assert done.stdout.endswith(table)
    assert (tmp_path / 'methods_smoke.png').stat().st_size > 1000


def test_every_contender_has_a_recipe_that_its_method_takes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from methods_runs import Bench
    from methods_settings import CONTENDERS, SETTINGS

    ours = [contender for contender in CONTENDERS if contender.origin != 'Torch-Pruning']
    assert {'AdaSP', 'L1RR', 'ACP budgeted', 'DAAR'} <= {contender.name for contender in ours}
    for name in ('cpu', 'gpu', 'gpu_full'):
        setting = SETTINGS[name]
        problem = setting.problems[0]
        small = dataclasses.replace(problem, data={**problem.data, 'val': 20})
        bench = Bench(setting, small, data, tmp_path)
        for contender in ours:
            recipe = bench.recipe(contender, 0.7, 0)
            method = make_method(recipe)
            assert method.meets_budget, contender.name
            phases = (recipe.finetune, recipe.sparse, recipe.soft, recipe.search)
            epochs = sum(phase.epochs for phase in phases if phase is not None)
            assert epochs == setting.epochs, f'{contender.name} has the same budget as all'


def test_tables_rank_by_accuracy_and_name_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from methods_tables import tables

    common = {
        'setting': 'cpu', 'machine': 'm', 'problem': 'p', 'cut': 0.5, 'torch': '2', 'budget': 6,
        'epochs': 3, 'batch_size': 8, 'origin': 'method', 'note': '', 'macs_cut': 0.5,
        'params': 1000, 'latency_ratio': 0.6, 'prune_s': 1.0, 'batches': 6,
    }
    found = [
        {**common, 'name': 'good', 'seed': 0, 'top1': 0.90},
        {**common, 'name': 'good', 'seed': 1, 'top1': 0.92},
        {**common, 'name': 'recommended', 'seed': 0, 'top1': 0.88},
        {**common, 'name': 'TP', 'origin': 'Torch-Pruning', 'seed': 0, 'top1': 0.80},
        {**common, 'name': 'TP less', 'origin': 'Torch-Pruning', 'seed': 0, 'top1': 0.70},
        {**common, 'name': 'bad', 'seed': 0, 'top1': 0.5, 'commit': 'abc123'},
        {**common, 'name': 'worse', 'seed': 0, 'error': 'the budget cannot be reached'},
    ]
    text = tables(found, 'cpu')
    assert '| good | method | 91.00 ± 1.41 | 2 |' in text
    assert text.index('| good') < text.index('| bad') < text.index('| worse')
    assert 'Recommended less the best of Torch-Pruning (TP): +8.00 points' in text
    assert 'commits abc123, unknown.' in text
    assert '| worse | method | - | 0 | | | | | | the budget cannot be reached |' in text
