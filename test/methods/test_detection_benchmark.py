# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of detectors: what its tables say of rows, and the order of its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import detection

    return detection


def row(name: str, goal: str, seed: int, value: float) -> dict:
    return {
        'name': name, 'goal': goal, 'seed': seed, 'origin': 'ours', 'note': '', 'machine': 'm',
        'problem': 'p', 'torch': '2', 'budget': 60, 'batch_size': 16, 'epochs': 6, 'n': 579,
        'mAP50': value, 'mAP50-95': value / 2, 'mAP50_small': value / 4, 'worst_class': 'b',
        'worst': value / 2, 'per_class': {'a': value, 'b': value / 2}, 'macs': 100, 'params': 50,
        'macs_cut': 0.5, 'latency_ratio': 0.7, 'prune_s': 1.0, 'batches': 60,
    }


def test_the_tables_hold_means_losses_and_failures(benchmark) -> None:
    rows = [
        row('dense', '', 0, 0.8), row('one', 'half', 0, 0.6), row('one', 'half', 1, 0.7),
        row('two', 'half', 0, 0.5),
        {**{key: row('three', 'half', 0, 0)[key] for key in ('name', 'goal', 'seed', 'origin',
            'note', 'machine', 'problem', 'torch')}, 'error': 'it broke'},
    ]
    text = benchmark.tables(rows, 'x')
    assert text.index('| one | ours | 65.00 ± 7.07') < text.index('| two | ours | 50.00 |')
    assert '| method | a | b |' in text
    assert '| one | 65.00 (-15.0) | 32.50 (-7.5) |' in text
    assert 'it broke' in text
    assert 'No run' in benchmark.tables([], 'x')


def test_the_runs_worth_most_come_first(benchmark) -> None:
    setting = benchmark.SETTINGS['cpu']
    leading, others = benchmark.LEADING, benchmark.OTHERS
    runs = list(benchmark._runs(setting, [list(leading), list(others)]))
    assert len(runs) == len({run.key for run in runs})
    assert len(runs) == 1 + 3 * len(setting.goals) * len(leading + others)
    assert runs[0].contender is None
    assert runs[1].contender.name == 'L1RR'
    first = {run.contender.name for run in runs[1:1 + 3 * len(setting.goals) * len(leading)]}
    assert first == {contender.name for contender in leading}
