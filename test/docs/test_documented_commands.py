# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every documented command is run on tiny data, or stands here with the reason why not.

All ``uav-prune`` commands are read by the real grammar, also those that are not run.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from documented_commands import ROOT, Command, documented
from tiny_ladder import make_detection_ladder

from uav_prune_perception.cli.grammar import build_parser
from uav_prune_perception.cli.main import main

# Not run, and why. Regular expressions, matched at the start of the command.
NOT_RUN = {
    r'make ': 'makes an environment and runs for minutes; it is what runs this test',
    r'(pip|python3 -m pip) install|python3 -m venv|\. \.venv|pre-commit': 'changes the machine',
    r'ros2 |colcon |source |FASTDDS': "needs ROS 2's own tools; test/ros drives the node itself",
    r'sudo |cat /etc/nv|python3 -c "import tensorrt|python3 -m pytest -m tensorrt': 'on a Jetson',
    r'mkdir |cd |git ': 'the reader makes a folder of his own',
    r'torchrun ': 'several processes: test/methods/test_ranks.py',
    r'tensorboard ': 'a server that does not end',
    r'python benchmarks/': 'hours; that the file is there is checked',
    r'uav-prune build ': 'needs TensorRT and a GPU; test/onboard/engines builds with doubles',
    r'uav-prune profile \S+ --engine tensorrt': 'needs TensorRT and a GPU',
    r'uav-prune prune (config/recipes|\S*_ladder)': 'minutes to days; the recipes are checked',
}
# So that a job takes seconds: the same command with these at its end.
QUICK = (
    '--overwrite', '--set', 'train.epochs=1', '--set', 'train.batch_size=2',
    '--set', 'finetune.epochs=1', '--set', 'export.profile_runs=5', '--set', 'data.width=96',
    '--set', 'data.height=64', '--set', 'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.6}]',
    '--set', 'network.options={width: 0.5}',
)
LADDERS = ('my_ladder', 'scenes_ladder', 'ladder', 'LADDER', 'A', 'B')
PLACEHOLDERS = {'MY_DATA': 'my_data', '/path/to/': '', '~/': ''}
COMMANDS = documented()
OURS = [command for command in COMMANDS if 'uav-prune ' in command.text
        or 'cli.main ' in command.text]


def reason(command: Command) -> str | None:
    return next((why for what, why in NOT_RUN.items() if re.match(what, command.text)), None)


def words(command: Command) -> list[str]:
    """Arguments of uav-prune, without what is sent elsewhere."""
    text = re.split(r'\s[>|]\s', re.split(r'uav-prune |cli\.main ', command.text, maxsplit=1)[1])[0]
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return shlex.split(text)


def test_the_pages_have_commands_and_every_reason_is_used() -> None:
    assert len(OURS) > 40
    assert {command.program for command in COMMANDS} >= {'uav-prune', 'ros2', 'make', 'torchrun'}
    used = {reason(command) for command in COMMANDS}
    assert used >= set(NOT_RUN.values())


@pytest.mark.parametrize('command', OURS, ids=lambda command: command.place)
def test_the_grammar_knows_it(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        build_parser().parse_args(words(command))
    except SystemExit as end:  # --version, --print-completion
        assert end.code == 0 or 'shtab' in capsys.readouterr().err, capsys.readouterr().err


def test_scripts_that_are_named_are_there() -> None:
    named = [re.match(r'(?:python3?|python3? -m pytest -m \w+) (\S+\.py)', c.text)
             for c in COMMANDS]
    paths = {match.group(1) for match in named if match}
    assert len(paths) > 3
    for path in paths:
        assert (ROOT / path).is_file(), path


@pytest.fixture(scope='module')
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: data, a flight, pictures, ladders, under the names of the pages."""
    desk = tmp_path_factory.mktemp('desk')
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for kind in ('images', 'labels'):
            (desk / 'my_data' / kind / split).mkdir(parents=True)
        for index in range(4):
            picture = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            cv2.imwrite(str(desk / f'my_data/images/{split}/{split}{index}.png'), picture)
            label = desk / f'my_data/labels/{split}/{split}{index}.txt'
            label.write_text(f'0 0.5 0.5 0.3 0.3\n1 0.{2 + index} 0.3 0.2 0.2\n')
    (desk / 'my_data/data.yaml').write_text(
        'train: images/train\nval: images/val\ntest: images/test\nnames: [car, boat]\n'
    )
    (desk / 'pictures').mkdir()
    for name in ('pictures/a.jpg', 'pictures/b.jpg', 'a.jpg', 'b.jpg'):
        cv2.imwrite(str(desk / name), rng.integers(0, 255, (96, 128, 3), dtype=np.uint8))
    make_detection_ladder(desk / 'ladder', width=96, height=64)
    for name in set(LADDERS) - {'ladder'}:
        shutil.copytree(desk / 'ladder', desk / name)
    pictures = ['replay', str(desk / 'ladder'), '--source', str(desk / 'pictures'), '--hz', '10']
    made = ['--video', str(desk / 'video.mp4'), '--bag', str(desk / 'recorded')]
    assert main([*pictures, *made]) == 0
    shutil.move(next((desk / 'recorded').glob('*.mcap')), desk / 'flight.mcap')
    return desk


def once() -> list[Command]:
    """What is to be run, each wording once, in the order of the pages."""
    return list({command.text: command for command in OURS if reason(command) is None}.values())


@pytest.mark.timeout(300)
def test_they_do_what_the_pages_say(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv('XDG_CACHE_HOME', str(desk / 'cache'))
    ran = []
    for command in once():
        arguments = words(command)
        if '--print-completion' in arguments:
            continue  # the grammar's test has printed it
        if '--tensorboard' in arguments and importlib.util.find_spec('tensorboard') is None:
            continue
        if arguments[0] == 'init':
            Path(arguments[1]).unlink(missing_ok=True)
        if arguments[0] == 'prune':
            arguments += QUICK
        for flag in ('--bag', '--video'):  # a second command may write the same
            if flag in arguments:
                shutil.rmtree(arguments[arguments.index(flag) + 1], ignore_errors=True)
        code = main(arguments)
        told = capsys.readouterr()
        # doctor's is 1 where something of the machine is broken, data check's where data is
        fine = (0, 1) if arguments[0] in ('doctor', 'data') else (0,)
        assert code in fine, f'{command.place}: {command.text}\n{told.err}'
        ran.append(arguments[0])
    assert set(ran) >= {
        'doctor', 'data', 'init', 'prune', 'inspect', 'report', 'compare', 'replay', 'profile',
        'telemetry', 'simulate',
    }
    for made in ('sheet.png', 'my_recipe.yaml', 'my_ladder/report.html', 'flight.mp4',
                 'compare.html', 'detections'):
        assert (desk / made).exists(), made


def test_the_messages_that_troubleshooting_explains_are_really_said() -> None:
    sources = ''.join(
        path.read_text(encoding='utf-8') for path in (ROOT / 'uav_prune_perception').rglob('*.py')
    )
    said = re.sub(r"'\s*\n\s*f?'", '', sources)  # literals that go on in the next line
    rows = [line for line in (ROOT / 'docs/troubleshooting.md').read_text('utf-8').splitlines()
            if line.startswith('| ') and not line.startswith('| what you see')]
    checked = 0
    for row in rows:
        for message in re.findall(r'`([^`]+)`', row.split(' | ')[0]):
            for piece in re.split(r'…|\(…\)|<\w+>|"', message):
                piece = piece.strip(" '():;,/")
                if ' ' in piece and not piece.startswith('ros2'):
                    assert piece in said, f'nothing says "{piece}": {row[:80]}'
                    checked += 1
    assert checked > 20
