# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune profile`` and ``build`` as a user on a drone types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_ladder import make_detection_ladder

from uav_prune_perception.cli.main import main
from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.onboard.telemetry.machine import device_name

WITHOUT_THE_WORKSTATION = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'torch', 'rich', 'pydantic', 'matplotlib', 'onnx', 'rclpy',
                                  'rosbags', 'psutil', 'safetensors'}:
            raise ModuleNotFoundError(f'No module named {name}', name=name)
sys.meta_path.insert(0, Absent())
from uav_prune_perception.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize('command', ['profile', 'build'])
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        'import sys\n'
        'from uav_prune_perception.cli.main import main\n'
        f'try: main([{command!r}, "--help"])\n'
        'except SystemExit: pass\n'
        'heavy = {"torch", "onnxruntime", "rich", "cv2", "numpy", "jsonschema"}\n'
        'assert not heavy & set(sys.modules), heavy & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.DEVNULL)


def test_profile_on_a_drone_writes_into_the_ladder(tmp_path: Path) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder', 2, 128, 128)
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_THE_WORKSTATION, 'profile', str(ladder.folder),
         '--runs', '10', '--threads', '1'],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert device_name() in done.stdout
    assert 'kept MACs' in done.stdout
    level = open_ladder(ladder.folder).levels[0]
    profile = level.profiles[device_name()]
    assert profile.n == 10
    assert f'{profile.latency_ms_p50:.2f}' in done.stdout


def test_what_the_quick_start_asks_of_a_drone_works_without_the_workstation(
    tmp_path: Path,
) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder', 2, 64, 64)
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    cv2.imwrite(str(pictures / '0.png'), np.zeros((64, 64, 3), np.uint8))
    commands = {
        ('inspect', str(ladder.folder)): (0, '50.0 %'),
        ('replay', str(ladder.folder), '--source', str(pictures)): (0, '1 pictures of'),
        ('doctor',): ((0, 1), 'a real inference was right'),
        ('prune', 'recipe.yaml', '-o', 'x'): (1, "pip install 'uav_prune_perception[offline]'"),
    }
    for arguments, (codes, words) in commands.items():
        done = subprocess.run(
            [sys.executable, '-c', WITHOUT_THE_WORKSTATION, *arguments],
            capture_output=True, text=True, check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode in (codes if isinstance(codes, tuple) else (codes,)), said
        assert words in said


def test_profile_as_json_and_without_writing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder', 2, 64, 64)
    before = (ladder.folder / 'ladder.json').read_bytes()
    arguments = ['profile', str(ladder.folder), '--runs', '5', '--json', '--dry-run']
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['device'] == device_name()
    assert document['profiles']['fp32']['50']['n'] == 5
    assert (ladder.folder / 'ladder.json').read_bytes() == before


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--precision', 'int8'], 'no level has int8; add it to export.precisions'),
        (['--engine', 'tensorrt'], 'TensorRT cannot be imported'),
    ],
)
def test_what_cannot_be_profiled_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder', 2, 64, 64)
    assert main(['profile', str(ladder.folder), *arguments]) in {1, 2}
    err = capsys.readouterr().err
    assert words in err
    assert err.count('\n') == 1


def test_build_without_tensorrt_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip('TensorRT is installed here')
    ladder = make_detection_ladder(tmp_path / 'ladder', 2, 64, 64)
    assert main(['build', str(ladder.folder)]) == 1
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith('uav-prune: error: TensorRT cannot be imported')
    assert err.count('\n') == 1
