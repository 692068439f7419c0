# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune prune`` from a recipe to a ladder, also when it is killed on the way."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from uav_prune_perception.channels import load_pruned
from uav_prune_perception.cli.main import main
from uav_prune_perception.ladder import Ladder, open_ladder
from uav_prune_perception.networks.registry import build_network

# One thread, so that an interrupted and an uninterrupted run add up in the same order.
ENVIRONMENT = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
COMMAND = [sys.executable, '-m', 'uav_prune_perception.cli.main', 'prune']
RECIPE = """\
name: tiny_scenes
data: {kind: generated_scenes, train: 16, val: 4, test: 4, width: 96, height: 64}
network:
  name: aerial_detector
  options: {width: 0.5}
train: {epochs: 2, batch_size: 8}
prune:
  levels:
    - {kept_macs: 1.0}
    - {kept_macs: 0.4}
finetune: {epochs: 1, batch_size: 8}
export: {profile_runs: 5}
"""


@pytest.fixture(scope='module')
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('recipe') / 'tiny_scenes.yaml'
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope='module')
def finished(recipe: Path) -> str:
    """What an undisturbed run says."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):  # in this process: torch is imported already
        assert main(['prune', str(recipe), '-o', str(recipe.parent / 'ladder')]) == 0
    return told.getvalue()


@pytest.fixture(scope='module')
def ladder(recipe: Path, finished: str) -> Ladder:
    return open_ladder(recipe.parent / 'ladder')


def dense_detector() -> torch.nn.Module:
    return build_network('aerial_detector', classes=4, width=0.5)


def test_the_ladder_has_the_levels_of_the_recipe(ladder: Ladder) -> None:
    assert [level.name for level in ladder.levels] == ['100', '40']
    assert ladder.task == 'detection'
    assert ladder.classes == ('car', 'truck', 'person', 'boat')
    assert (ladder.input.width, ladder.input.height) == (96, 64)
    assert ladder.provenance['method'] == 'l1'
    assert ladder.provenance['recipe']['prune']['levels'][1]['kept_macs'] == 0.4
    assert ladder.provenance['packages']['torch'] == torch.__version__
    for level in ladder.levels:
        assert set(level.files) == {'model.onnx', 'weights.safetensors', 'plan.json'}
        assert level.accuracy.split == 'test'
        assert level.accuracy.n == 4
        (profile,) = level.profiles.values()
        assert profile.n == 5


def test_each_level_costs_what_was_asked_by_an_independent_counter(ladder: Ladder) -> None:
    dense = ladder.levels[0].macs
    for level, asked in zip(ladder.levels, (1.0, 0.4), strict=True):
        model = load_pruned(dense_detector, ladder.file(level).parent).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, 64, 96))
        assert counter.get_total_flops() / 2 == pytest.approx(level.macs, rel=1e-3)
        assert level.macs / dense == pytest.approx(asked, rel=0.01)
        assert level.kept_macs == pytest.approx(level.macs / dense)
        assert level.params == sum(p.numel() for p in model.parameters())


def test_the_engine_computes_what_plan_and_weights_compute(ladder: Ladder) -> None:
    picture = np.random.default_rng(5).standard_normal((1, 3, 64, 96)).astype(np.float32)
    for level in ladder.levels:
        model = load_pruned(dense_detector, ladder.file(level).parent).eval()
        session = onnxruntime.InferenceSession(
            ladder.file(level), providers=['CPUExecutionProvider']
        )
        (got,) = session.run([ladder.decode.tensor], {ladder.input.tensor: picture})
        with torch.no_grad():
            wanted = model(torch.from_numpy(picture)).numpy()
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


def test_the_output_tells_the_story(finished: str) -> None:
    for part in (
        'data: detection, 4 classes', 'channels can be cut', 'training the dense network ...',
        '40: fine-tuning ...', '40: ONNX equals torch within', 'measuring latency',
        'p50 / p95 / p99', 'ladder: ',
    ):
        assert part in finished


def test_a_second_run_starts_from_what_the_first_has_built(
    recipe: Path, ladder: Ladder, capsys: pytest.CaptureFixture[str]
) -> None:
    target = recipe.parent / 'ladder'
    assert main(['prune', str(recipe), '-o', str(target)]) == 2
    assert 'exists already; choose another name or add --overwrite' in capsys.readouterr().err
    assert main(['prune', str(recipe), '-o', str(target), '--overwrite']) == 0
    out = capsys.readouterr().out
    assert out.count('(from an earlier run)') == 2
    assert 'fine-tuning' not in out
    assert engines(open_ladder(target)) == engines(ladder)


def test_one_level_more_costs_only_that_level(
    recipe: Path, ladder: Ladder, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = recipe.with_name('longer.yaml')
    longer.write_text(RECIPE.replace('0.4}\n', '0.4}\n    - {kept_macs: 0.25}\n'))
    assert main(['prune', str(longer), '-o', str(recipe.parent / 'second')]) == 0
    out = capsys.readouterr().out
    assert out.count('(from an earlier run)') == 2
    assert out.count('fine-tuning') == 1


@contextlib.contextmanager
def running(recipe: Path, target: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, str(recipe), '-o', str(target)], env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(f'ended without a line "{start}"')


def wait_for_file(folder: Path, pattern: str, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f'no {pattern} in {folder}'
        time.sleep(0.005)


def engines(ladder: Ladder) -> dict[str, tuple[str, str, float]]:
    return {
        level.name: (
            level.files['model.onnx'].sha256, level.files['weights.safetensors'].sha256,
            level.accuracy.value,
        )
        for level in ladder.levels
    }


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_killed_and_started_again_it_ends_with_the_same_ladder(
    recipe: Path, ladder: Ladder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / 'ladder'
    with running(recipe, target) as process:
        wait_for_file(tmp_path, '.uav_prune/*/dense-*.checkpoint')
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ['.uav_prune']
    with running(recipe, target) as process:
        wait_for_line(process, '40: fine-tuning')
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
        assert process.returncode == 130
        assert err == 'uav-prune: stopped; start the same command again to go on\n'
    assert not target.exists()
    capsys.readouterr()
    assert main(['prune', str(recipe), '-o', str(target)]) == 0
    assert capsys.readouterr().out.count('(from an earlier run)') == 1
    assert engines(open_ladder(target)) == engines(ladder)
