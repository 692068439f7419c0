# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished stages are found again, half ones never, and nobody else's files are touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uav_prune_perception.methods.run_folder import RunFolder, RunFolderError, fingerprint


def test_a_finished_stage_is_found_by_the_next_run_and_only_under_its_key(tmp_path: Path) -> None:
    def write(folder: Path) -> dict[str, float]:
        (folder / 'x').write_text('w')
        return {'score': 0.5}

    with RunFolder(tmp_path / 'run') as run:
        assert run.stage('dense', 'a1') is None
        run.finish('dense', 'a1', write)
    with RunFolder(tmp_path / 'run') as run:
        stage = run.stage('dense', 'a1')
        assert stage is not None
        assert (stage / 'x').read_text() == 'w'
        assert run.facts(stage) == {'score': 0.5}
        assert run.stage('dense', 'b2') is None


def test_a_stage_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    def half(folder: Path) -> dict[str, float]:
        (folder / 'x').write_text('half')
        raise OSError('no space left on device')

    with RunFolder(tmp_path / 'run') as run:
        with pytest.raises(OSError, match='no space'):
            run.finish('dense', 'a1', half)
        assert run.stage('dense', 'a1') is None
        assert [path.name for path in run.path.iterdir()] == ['run.json']


def test_fresh_forgets_but_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / 'run') as run:
        run.finish('dense', 'a1', lambda folder: {})
    with RunFolder(tmp_path / 'run', fresh=True) as run:
        assert run.stage('dense', 'a1') is None
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis' / 'chapter1.txt').write_text('precious')
    with pytest.raises(RunFolderError, match='holds other files'):
        RunFolder(tmp_path / 'thesis', fresh=True)
    assert (tmp_path / 'thesis' / 'chapter1.txt').exists()


def test_two_processes_cannot_use_one_run_folder(tmp_path: Path) -> None:
    code = (
        'import sys\n'
        'from uav_prune_perception.methods.run_folder import RunFolder\n'
        'RunFolder(sys.argv[1])\n'
        'print("got it", flush=True)\n'
        'sys.stdin.read()\n'
    )
    other = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'run')],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == 'got it\n'
    with pytest.raises(RunFolderError, match='another run is using it'):
        RunFolder(tmp_path / 'run')
    other.communicate('')
    with RunFolder(tmp_path / 'run'):
        pass


def test_the_fingerprint_sees_every_value() -> None:
    assert fingerprint({'a': 1, 'b': 2}) == fingerprint({'b': 2, 'a': 1})
    assert fingerprint({'a': 1}) != fingerprint({'a': 2})
    assert fingerprint({'a': 1}, 'x') != fingerprint({'a': 1}, 'y')
