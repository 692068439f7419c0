# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune data check``: planted faults are found, a clean set passes."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from uav_prune_perception.cli.main import main


@pytest.fixture
def clean(tmp_path):
    rng = np.random.default_rng(3)
    for split, count in (('train', 6), ('val', 3)):
        (tmp_path / 'images' / split).mkdir(parents=True)
        (tmp_path / 'labels' / split).mkdir(parents=True)
        for index in range(count):
            noise = rng.integers(0, 255, (12, 16, 3), np.uint8)
            picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
            picture.save(tmp_path / 'images' / split / f'{split}{index}.jpg', quality=95)
            (tmp_path / 'labels' / split / f'{split}{index}.txt').write_text(
                '0 0.5 0.5 0.1 0.1\n1 0.3 0.3 0.4 0.4\n'
            )
    document = {'train': 'images/train', 'val': 'images/val', 'names': ['car', 'person']}
    (tmp_path / 'data.yaml').write_text(yaml.safe_dump(document))
    return tmp_path


def faults_of(folder, capsys):
    code = main(['data', 'check', str(folder), '--json'])
    document = json.loads(capsys.readouterr().out)
    faults = document['faults']
    return code, [(fault['kind'], fault['place'].rsplit('/', 1)[-1]) for fault in faults]


def test_a_clean_set_passes_with_its_counts_and_a_sheet(clean, capsys, tmp_path):
    sheet = tmp_path / 'sheet.png'
    assert main(['data', 'check', str(clean), '--sheet', str(sheet)]) == 0
    output = capsys.readouterr().out
    assert 'yolo, 2 classes' in output
    assert [line.split() for line in output.splitlines() if line.startswith('car')] == [
        ['car', '6', '3']
    ]
    assert 'no faults' in output
    picture = cv2.imread(str(sheet))
    assert picture.shape[1] > 1000
    assert picture.std() > 20


def test_every_planted_fault_is_named(clean, capsys):
    train, val = clean / 'images' / 'train', clean / 'images' / 'val'
    (train / 'train0.jpg').write_bytes((train / 'train0.jpg').read_bytes()[:900])
    shutil.copy(train / 'train1.jpg', train / 'twin.jpg')
    (clean / 'labels' / 'train' / 'twin.txt').write_text('0 0.5 0.5 0.1 0.1\n')
    shutil.copy(train / 'train2.jpg', val / 'leak.jpg')
    (clean / 'labels' / 'val' / 'leak.txt').write_text('0 0.5 0.5 0.1 0.1\n')
    Image.open(train / 'train3.jpg').resize((200, 150)).save(val / 'near.jpg', quality=80)
    (clean / 'labels' / 'val' / 'near.txt').write_text('0 1.02 0.5 0.1 0.1\n')
    for path in (clean / 'labels').rglob('*.txt'):
        path.write_text(path.read_text().partition('\n')[0] + '\n')  # nobody left of class 1
    code, faults = faults_of(clean, capsys)
    assert code == 1
    assert sorted(faults) == sorted([
        ('box outside', 'near.txt:1'), ('broken picture', 'train0.jpg'),
        ('duplicate picture', 'twin.jpg'), ('leaking split', 'leak.jpg'),
        ('leaking split', 'near.jpg'), ('empty class', 'train'), ('empty class', 'val'),
    ])


def test_what_cannot_be_checked_is_one_line(tmp_path, capsys):
    assert main(['data', 'check', str(tmp_path / 'none')]) == 2
    assert main(['data', 'check', str(tmp_path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith('uav-prune: error: ') for line in lines)


def test_a_sheet_that_is_no_png_is_refused_before_it_is_written(clean, capsys):
    assert main(['data', 'check', str(clean), '--sheet', str(clean / 'sheet.txt')]) == 2
    assert 'ends in .png' in capsys.readouterr().err
    assert not (clean / 'sheet.txt').exists()
