# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.image_folder import image_folder


def fill(folder, classes=('field', 'water'), count=10, size=(20, 14)):
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            color = (label * 200, index * 20, 60)
            Image.new('RGB', size, color).save(folder / name / f'{index:02}.png')


def test_class_folders_are_split_by_seed_without_overlap(tmp_path):
    fill(tmp_path)
    data = image_folder(tmp_path, width=16, height=8, val_fraction=0.2, test_fraction=0.2)
    assert data.classes == ('field', 'water')
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [12, 4, 4]
    assert data.split('train').images.shape == (12, 8, 16, 3)
    rows = [tuple(i[0, 0]) for n in ('train', 'val', 'test') for i in data.split(n).images]
    assert len(set(rows)) == 20
    for name in ('train', 'val', 'test'):
        split = data.split(name)
        assert np.array_equal(split.labels, (split.images[:, 0, 0, 0] > 100).astype(int))
    assert data.sha256 == image_folder(
        tmp_path, width=16, height=8, val_fraction=0.2, test_fraction=0.2
    ).sha256


def test_split_folders_are_kept(tmp_path):
    for name, count in (('train', 4), ('val', 2), ('test', 3)):
        fill(tmp_path / name, count=count)
    data = image_folder(tmp_path, width=8, height=8, channels=1)
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [8, 4, 6]
    assert data.split('val').images.shape[-1] == 1


def test_broken_pictures_are_named_and_skipped_or_refused(tmp_path, caplog):
    fill(tmp_path)
    whole = (tmp_path / 'field' / '03.png').read_bytes()
    (tmp_path / 'field' / '03.png').write_bytes(whole[:40])
    (tmp_path / 'water' / '05.png').write_bytes(b'')
    with caplog.at_level(logging.WARNING):
        data = image_folder(tmp_path, width=8, height=8)
    assert sum(len(split) for split in data.splits.values()) == 18
    assert 'field/03.png: broken picture' in caplog.text
    assert 'water/05.png: broken picture' in caplog.text
    with pytest.raises(DatasetError, match='broken picture'):
        image_folder(tmp_path, width=8, height=8, broken='refuse')


def test_a_missing_folder_or_class_is_one_line(tmp_path):
    with pytest.raises(DatasetError, match='no such folder'):
        image_folder(tmp_path / 'absent', width=8, height=8)
    with pytest.raises(DatasetError, match='one sub-folder for each'):
        image_folder(tmp_path, width=8, height=8)
