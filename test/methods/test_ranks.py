# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Two processes end where one does: same batches, same masks, one writer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rank_jobs
import torch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return int(one.getsockname()[1])


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, rank_jobs.__file__, str(folder)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'TORCH_CPP_LOG_LEVEL': 'ERROR', **environment},
    )


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the job in one process, and in two at the same time."""
    found = {name: tmp_path_factory.mktemp(name) for name in ('one', 'two')}
    shared = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free_port())}
    processes = [
        start(found['two'], RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(2)
    ]
    rank_jobs.main(found['one'])
    told = [process.communicate(timeout=280)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(told)
    assert ''.join(told) == ''
    return found


def result(folder: Path, rank: int = 0) -> dict[str, Any]:
    return dict(json.loads((folder / f'{rank}.json').read_text()))


def test_sparse_training_with_a_teacher_ends_with_the_same_weights(runs: dict[str, Path]) -> None:
    one, two = result(runs['one'])['learnt'], result(runs['two'])['learnt']
    assert two['loss'] == pytest.approx(one['loss'], rel=1e-4)
    assert two['accuracy'] == pytest.approx(one['accuracy'], abs=0.01)
    assert two['kinds'] == one['kinds'], 'BatchNorm is what it was before'
    wanted = torch.load(runs['one'] / 'weights0.pt')
    both = [torch.load(runs['two'] / f'weights{rank}.pt') for rank in range(2)]
    moved = 0.0
    for name, value in wanted.items():
        assert torch.equal(both[0][name], both[1][name]), f'{name} differs between processes'
        torch.testing.assert_close(both[0][name], value, rtol=1e-3, atol=1e-4, msg=name)
        moved = max(moved, float(value.float().abs().max()))
    assert moved > 0.01


@pytest.mark.parametrize('name', ['yolov5', 'ssd300'])
def test_a_loss_of_the_networks_own_does_not_see_how_its_batch_is_shared(
    runs: dict[str, Path], name: str
) -> None:
    one, two = (result(runs[which])['own_losses'][name] for which in ('one', 'two'))
    assert two[0] == pytest.approx(one[0], rel=1e-4)
    assert len(one) > 20
    assert two == pytest.approx(one, rel=2e-2, abs=1e-4)


def test_masks_in_training_choose_the_same_channels(runs: dict[str, Path]) -> None:
    (one,), (two,) = result(runs['one'])['adasp'], result(runs['two'])['adasp']
    assert two['kept'] == one['kept']
    assert any(few < many for few, many in one['kept'].values())
    assert two['val'] == pytest.approx(one['val'], abs=0.2)


def test_a_population_is_judged_in_parts_with_the_same_verdicts(runs: dict[str, Path]) -> None:
    (one,), (two,) = result(runs['one'])['acp'], result(runs['two'])['acp']
    assert two['kept'] == one['kept']
    assert result(runs['two'], 1)['acp'] == [two], 'both processes hold the same network'


def test_one_process_writes(runs: dict[str, Path]) -> None:
    for job in ('adasp', 'acp'):
        stages = [sorted(p.name.split('-')[0] for p in (runs[n] / job / 'run').iterdir())
                  for n in ('one', 'two')]
        assert stages[0] == stages[1]
        assert not any(name.startswith('.') for name in stages[1])


def test_what_cannot_be_shared_and_who_is_lost_is_said(runs: dict[str, Path]) -> None:
    first, second = result(runs['two']), result(runs['two'], 1)
    for one in (first, second):
        assert '7 pictures in a step cannot be shared equally by 2 processes' in one['refused']
    assert 'another process of this job has ended' in first['lost']


LONG = """\
name: long
data: {kind: generated_scenes, train: 16, val: 4, test: 4, width: 96, height: 64}
network: {name: aerial_detector, options: {width: 0.25, strides: [8, 16]}}
train: {epochs: 10000, batch_size: 8}
prune: {levels: [{kept_macs: 1.0}]}
finetune: {epochs: 1, batch_size: 8}
"""


def test_a_process_that_is_killed_is_one_line_and_the_exit_code_of_a_failure(
    tmp_path: Path,
) -> None:
    recipe = tmp_path / 'long.yaml'
    recipe.write_text(LONG)
    command = [sys.executable, '-m', 'uav_prune_perception.cli.main', 'prune', str(recipe)]
    shared = {
        **os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', 'WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free_port()),
    }
    first, second = (
        subprocess.Popen(
            [*command, '-o', str(tmp_path / 'ladder')], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**shared, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
        ) for rank in range(2)
    )
    try:
        assert first.stdout is not None
        assert any('training the dense network: ' in line for line in first.stdout)
        second.kill()
        _, told = first.communicate(timeout=120)
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert told.splitlines() == [told.strip()]
    assert 'another process of this job has ended' in told
    assert first.returncode == 1
