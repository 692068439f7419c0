# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import plain_ladder
import pytest

from uav_prune_perception.ladder import (
    Accuracy,
    DeviceProfile,
    InputSpec,
    LadderError,
    add_profiles,
    open_ladder,
)
from uav_prune_perception.ladder import swap as swap_module


def test_nothing_shows_before_commit_and_nothing_is_left_without(tmp_path):
    target = tmp_path / 'ladder'
    with plain_ladder.writer(target) as opened:
        plain_ladder.add_level(opened, '100')
        assert not target.exists()
    assert list(tmp_path.iterdir()) == []
    with contextlib.suppress(RuntimeError), plain_ladder.writer(target) as opened:
        plain_ladder.add_level(opened, '100')
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_after_commit_there_is_the_ladder_and_nothing_else(tmp_path):
    plain_ladder.write(tmp_path / 'ladder')
    assert [path.name for path in tmp_path.iterdir()] == ['ladder']
    assert (tmp_path / 'ladder').stat().st_mode & 0o777 == 0o755
    assert (tmp_path / 'ladder/ladder.json').stat().st_mode & 0o777 == 0o644


def test_an_existing_target_is_refused_before_any_work(tmp_path):
    plain_ladder.write(tmp_path / 'ladder')
    with pytest.raises(LadderError, match=r'exists already.*--overwrite'):
        plain_ladder.writer(tmp_path / 'ladder')
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'holiday.jpg').write_text('x')
    with pytest.raises(LadderError, match='not a ladder; it will not be replaced'):
        plain_ladder.writer(mine, overwrite=True)
    (tmp_path / 'dangling').symlink_to(tmp_path / 'nowhere')
    with pytest.raises(LadderError):
        plain_ladder.writer(tmp_path / 'dangling', overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['dangling', 'ladder', 'mine']


@pytest.mark.parametrize('can_exchange', [True, False])
def test_overwriting_replaces_the_whole_ladder(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(swap_module, 'exchange', lambda first, second: False)
    plain_ladder.write(tmp_path / 'ladder', b'old')
    (tmp_path / 'ladder/extra').write_text('x')
    plain_ladder.write(tmp_path / 'ladder', b'new', overwrite=True)
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.file(ladder.levels[0]).read_bytes() == b'new100'
    assert not (tmp_path / 'ladder/extra').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['ladder']


def test_overwriting_through_a_link_leaves_what_it_points_to(tmp_path):
    plain_ladder.write(tmp_path / 'old', b'old')
    (tmp_path / 'ladder').symlink_to(tmp_path / 'old')
    plain_ladder.write(tmp_path / 'ladder', b'new', overwrite=True)
    assert open_ladder(tmp_path / 'old').folder.name == 'old'
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.file(ladder.levels[0]).read_bytes() == b'new100'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['ladder', 'old']


def test_while_overwriting_there_is_always_a_ladder_to_open(tmp_path):
    if not swap_module.exchange(Path(__file__), Path(__file__)):
        pytest.skip('this kernel or file system cannot exchange two names')
    plain_ladder.write(tmp_path / 'ladder')
    stop, missing, looks = threading.Event(), [], [0]

    def watch():
        while not stop.is_set():
            looks[0] += 1
            if not (tmp_path / 'ladder/ladder.json').is_file():
                missing.append(looks[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(20):
        plain_ladder.write(tmp_path / 'ladder', overwrite=True)
    stop.set()
    watcher.join()
    assert looks[0] > 100
    assert not missing


def no_space(*_, **__):
    raise OSError(28, 'No space left on device')


FAILING = ['os.fsync', 'os.replace', 'json.dumps', 'tempfile.mkstemp']


@pytest.mark.parametrize('call', FAILING)
@pytest.mark.parametrize('overwrite', [False, True])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, call, overwrite):
    target = tmp_path / 'ladder'
    if overwrite:
        plain_ladder.write(target, b'old')
    with plain_ladder.writer(target, overwrite=overwrite) as opened:
        plain_ladder.add_level(opened, '100')
        monkeypatch.setattr(call, no_space)
        with pytest.raises(OSError, match='No space left'):
            opened.commit()
        monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (['ladder'] if overwrite else [])
    if overwrite:
        ladder = open_ladder(target)
        assert ladder.file(ladder.levels[0]).read_bytes() == b'old100'


@pytest.mark.parametrize('fail_at', [1, 2])
def test_a_failing_rename_puts_the_old_ladder_back(tmp_path, monkeypatch, fail_at):
    plain_ladder.write(tmp_path / 'ladder', b'old')
    monkeypatch.setattr(swap_module, 'exchange', lambda first, second: False)
    real, calls = Path.rename, []

    def rename(self, target):
        calls.append(self)
        if len(calls) == fail_at:
            no_space()
        return real(self, target)

    with plain_ladder.writer(tmp_path / 'ladder', overwrite=True) as opened:
        plain_ladder.add_level(opened, '100', b'new')
        monkeypatch.setattr(Path, 'rename', rename)
        with pytest.raises(OSError, match='No space left'):
            opened.commit()
    monkeypatch.undo()
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.file(ladder.levels[0]).read_bytes() == b'old100'
    assert [path.name for path in tmp_path.iterdir()] == ['ladder']


def test_only_a_sound_ladder_replaces_an_old_one(tmp_path):
    plain_ladder.write(tmp_path / 'ladder', b'old')
    with plain_ladder.writer(tmp_path / 'ladder', overwrite=True) as opened:
        plain_ladder.add_level(opened, '100', b'new')
        late = next(tmp_path.glob('.ladder.partial-*/levels/100/model.onnx'))
        late.write_bytes(b'changed after add_level')
        with pytest.raises(LadderError, match='bytes'):
            opened.commit()
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.file(ladder.levels[0]).read_bytes() == b'old100'


PROGRAM = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import plain_ladder
    real = {name: getattr(os, name) for name in ('fsync', 'replace', 'rename', 'mkdir')}

    def write(target, step):
        count = 0

        def wrap(name):
            def call(*arguments, **named):
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), 9)
                return real[name](*arguments, **named)
            return call

        for name in real:
            setattr(os, name, wrap(name))
        plain_ladder.write(Path(target), b'new', overwrite=True)
        return count

    for argument in sys.argv[2:]:  # imports are done once: each writer is a fork
        step, target = argument.split('=', 1)
        pid = os.fork()
        if pid == 0:
            print('wrote', write(target, int(step)), flush=True)
            os._exit(0)
        print(step, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
""")


def kill_at(targets: dict[int, Path]) -> tuple[dict[int, int], str]:
    """Write each ladder in a process of its own that is killed at this step; exit codes."""
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, str(Path(__file__).parent),
         *(f'{step}={target}' for step, target in targets.items())],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    codes = {int(step): int(code) for step, code in lines if step != 'wrote'}
    return codes, next((count for word, count in lines if word == 'wrote'), '')


@pytest.mark.parametrize('existed', [False, True])
def test_a_kill_at_any_step_leaves_no_half_ladder(tmp_path, existed):
    codes, count = kill_at({10**9: tmp_path / 'first'})
    assert codes == {10**9: 0}
    assert int(count) >= 8
    targets = {step: tmp_path / f'at{step}' / 'ladder' for step in range(1, int(count) + 1)}
    for target in targets.values():
        target.parent.mkdir()
        if existed:
            plain_ladder.write(target, b'old')
    codes, _ = kill_at(targets)
    for step, target in targets.items():
        if codes[step] == 0:  # overwriting may need fewer steps
            assert existed
            continue
        assert codes[step] == -signal.SIGKILL
        if existed or target.exists():
            ladder = open_ladder(target)  # the old or the new one, whole
            assert ladder.file(ladder.levels[0]).read_bytes() in (b'old100', b'new100')
        visible = [p.name for p in target.parent.iterdir() if not p.name.startswith('.')]
        assert visible in ([], ['ladder'])
        plain_ladder.write(target, b'next', overwrite=True)  # and the way is free
        assert [p.name for p in target.parent.iterdir()] == ['ladder']


def test_the_leftovers_of_a_living_writer_are_not_touched(tmp_path):
    with plain_ladder.writer(tmp_path / 'ladder') as first:
        plain_ladder.add_level(first, '100', b'first')
        plain_ladder.write(tmp_path / 'ladder', b'second')
        kept = first.level_folder('50').parent / '100/model.onnx'
        assert kept.read_bytes() == b'first100'
    ladder = open_ladder(tmp_path / 'ladder')
    assert ladder.file(ladder.levels[0]).read_bytes() == b'second100'


@pytest.mark.parametrize('name', ['../x', 'a/b', '', '.', '-x', 'x' * 65, 'ü'])
def test_a_level_name_that_is_no_plain_name_is_refused(tmp_path, name):
    with plain_ladder.writer(tmp_path / 'a/ladder') as opened:
        with pytest.raises(LadderError, match='level name'):
            opened.level_folder(name)
        with pytest.raises(LadderError):
            opened.add_level(name, kept_macs=1, macs=1, params=1,
                             accuracy=Accuracy('top1', 1, 's', 1))
    assert [path.name for path in tmp_path.rglob('*')] == ['a']


def test_misuse_is_named(tmp_path):
    with plain_ladder.writer(tmp_path / 'ladder') as opened:
        plain_ladder.add_level(opened, '100')
        with pytest.raises(LadderError, match='in the ladder already'):
            opened.level_folder('100')
        with pytest.raises(LadderError, match='has no files'):
            opened.add_level('50', kept_macs=0.5, macs=1, params=1,
                             accuracy=Accuracy('top1', 1, 's', 1))
        for name in ('../report.md', 'ladder.json', '/tmp/x', ''):
            with pytest.raises(LadderError, match='plain file name'):
                opened.add_report(name, 'x')


@pytest.mark.parametrize('accuracy', [float('nan'), float('inf'), 1.5])
def test_a_ladder_that_breaks_the_schema_is_not_written(tmp_path, accuracy):
    with plain_ladder.writer(tmp_path / 'ladder') as opened:
        plain_ladder.add_level(opened, '100', accuracy=Accuracy('mAP50', accuracy, 's', 1))
        with pytest.raises(LadderError):
            opened.commit()
    assert list(tmp_path.iterdir()) == []


def test_a_ladder_without_levels_is_not_written(tmp_path):
    with plain_ladder.writer(tmp_path / 'ladder') as opened, pytest.raises(LadderError):
        opened.commit()
    assert list(tmp_path.iterdir()) == []


def test_gray_input_with_three_means_is_not_written(tmp_path):
    with pytest.raises(LadderError, match=r'input\.mean: 3 numbers for 1 channels'):
        plain_ladder.write(tmp_path / 'ladder', input=InputSpec(32, 32, 'gray'))


def test_profiles_are_added_to_a_sealed_ladder(tmp_path):
    ladder = plain_ladder.write(tmp_path / 'ladder')
    profile = DeviceProfile('tensorrt', 100, 5.0, 6.0, 7.0)
    new = add_profiles(ladder, 'orin', {'50': profile})
    assert new.level('50').profiles['orin'] == profile
    assert set(new.level('50').profiles) == {'here', 'orin'}
    assert 'orin' not in new.level('100').profiles
    assert open_ladder(tmp_path / 'ladder') == new
    with pytest.raises(LadderError, match='no level "7"'):
        add_profiles(ladder, 'orin', {'7': profile})
    before = (tmp_path / 'ladder/ladder.json').read_bytes()
    with pytest.raises(LadderError):
        add_profiles(ladder, 'x', {'50': DeviceProfile('e', 1, float('nan'), 1.0, 1.0)})
    assert (tmp_path / 'ladder/ladder.json').read_bytes() == before


def test_a_full_disk_while_adding_profiles_keeps_the_document(tmp_path, monkeypatch):
    ladder = plain_ladder.write(tmp_path / 'ladder')
    before = (tmp_path / 'ladder/ladder.json').read_bytes()
    monkeypatch.setattr('os.fsync', no_space)
    with pytest.raises(OSError, match='No space'):
        add_profiles(ladder, 'x', {'50': DeviceProfile('e', 1, 1.0, 1.0, 1.0)})
    monkeypatch.undo()
    assert (tmp_path / 'ladder/ladder.json').read_bytes() == before
    names = sorted(os.listdir(tmp_path / 'ladder'))
    assert names == ['ladder.json', 'levels', 'report.md']


def test_the_document_is_readable_by_people(tmp_path):
    plain_ladder.write(tmp_path / 'ladder')
    text = (tmp_path / 'ladder/ladder.json').read_text(encoding='utf-8')
    assert '鸟' in text
    assert len(text.splitlines()) > 50
    assert json.loads(text)['schema_version'] == 2
