# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Help is quick, every expected error is one line, and exit codes can be relied on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_ladder import make_classification_ladder, make_detection_ladder

from uav_prune_perception import __version__
from uav_prune_perception.cli.main import explain, main
from uav_prune_perception.ladder import add_profiles, open_ladder
from uav_prune_perception.ladder.model import DeviceProfile

COMMAND = [sys.executable, '-m', 'uav_prune_perception.cli.main']


def test_help_imports_nothing_heavy() -> None:
    code = (
        'import sys\n'
        'from uav_prune_perception.cli.main import main\n'
        'try: main(["prune", "--help"])\n'
        'except SystemExit: pass\n'
        'heavy = {"torch", "onnx", "onnxruntime", "pydantic", "cv2", "numpy"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_a_slip_in_a_recipe_is_told_before_torch_is_read(tmp_path: Path) -> None:
    (tmp_path / 'recipe.yaml').write_text('nam: x\n')
    code = (
        'import sys\n'
        'from uav_prune_perception.cli.main import main\n'
        f'where = {str(tmp_path)!r}\n'
        'assert main(["prune", where + "/recipe.yaml", "-o", where + "/out"]) != 0\n'
        'assert "torch" not in sys.modules\n'
    )
    ended = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
    assert b'nam' in ended.stderr


def test_inspecting_does_not_need_torch(tmp_path: Path) -> None:
    make_detection_ladder(tmp_path / 'ladder')
    code = (
        'import sys\n'
        'from uav_prune_perception.cli.main import main\n'
        f'assert main(["inspect", {str(tmp_path / "ladder")!r}]) == 0\n'
        'assert "torch" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_inspect_prints_the_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder')
    profile = DeviceProfile('ONNX Runtime', 50, 12.34, 15.0, 19.5)
    add_profiles(ladder, 'Test board [x]', {'50': profile})
    assert main(['inspect', str(ladder.folder)]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert '50.0 %' in rows['50']
    assert 'mAP50 0.9000 (made up, n = 1)' in rows['50']
    assert '12.34 / 15.00 / 19.50' in rows['50']
    assert '12.34' not in rows['100']
    assert 'Test board [x]' in text
    assert 'seed 0' in text


def test_inspect_json_is_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladder = make_classification_ladder(tmp_path / 'ladder')
    assert main(['inspect', str(ladder.folder), '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((ladder.folder / 'ladder.json').read_text())


def test_a_damaged_ladder_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder')
    model = ladder.file(ladder.levels[1])
    model.write_bytes(model.read_bytes()[:-1] + b'\0')
    assert main(['inspect', str(ladder.folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith('uav-prune: error: ')
    assert 'levels/50/model.onnx is damaged' in err
    assert err.count('\n') == 1


def test_a_hand_edit_is_refused_until_resealed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder')
    document = ladder.folder / 'ladder.json'
    document.write_text(document.read_text().replace('"rectangles"', '"renamed"'))
    assert main(['inspect', str(ladder.folder)]) == 2
    assert '--reseal' in capsys.readouterr().err
    assert main(['inspect', str(ladder.folder), '--reseal']) == 0
    assert open_ladder(ladder.folder).name == 'renamed'


@pytest.mark.parametrize(
    'arguments',
    [[], ['fly'], ['prune'], ['prune', 'r.yaml'], ['prune', 'r.yaml', '-o', 'x', '--what'],
     ['prune', 'r.yaml', '-o', 'x', '--fresh', '--resume']],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert 'error:' in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(['--version'])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f'uav-prune {__version__}\n'


def test_system_errors_are_explained_in_one_line() -> None:
    full = OSError(28, 'No space left on device')
    full.filename = '/data/ladder'
    assert explain(full) == (1, '/data/ladder: No space left on device')
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert 'lower train.batch_size' in explain(caught.value)[1]
    code, message = explain(ZeroDivisionError('division by zero\nsecond line'))
    assert code == 1
    assert '\n' not in message
    assert 'ZeroDivisionError' in message
    assert '--debug' in message


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [*COMMAND, 'inspect', str(tmp_path / 'nothing')]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert plain.returncode == 2
    assert 'Traceback' not in plain.stderr
    debug = subprocess.run([*command, '--debug'], capture_output=True, text=True, check=False)
    assert 'Traceback' in debug.stderr


def test_completion_knows_commands_flags_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('shtab')
    with pytest.raises(SystemExit) as caught:
        main(['--print-completion', 'bash'])
    assert caught.value.code == 0
    script = capsys.readouterr().out
    for part in ('simulate', '--tensorboard', 'int8_symmetric', '_shtab_compgen_dirs'):
        assert part in script
