# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Class folders of aerial scenes, EuroSAT, and ImageNet-style folders."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.eurosat import eurosat
from uav_prune_perception.datasets.imagenet import imagenet
from uav_prune_perception.datasets.scene_folders import aid, nwpu_resisc45, scene_folders


def fill(folder, classes, count, size=(12, 12)):
    """Pictures of one colour each: (class, number in it, 7)."""
    for label in range(classes):
        (folder / f'c{label:02}').mkdir(parents=True)
        for index in range(count):
            name = folder / f'c{label:02}' / f'{index:03}.png'
            Image.new('RGB', size, (label, index, 7)).save(name)


def places(split):
    return {(int(i[0, 0, 0]), int(i[0, 0, 1])) for i in split.images}


@pytest.mark.parametrize(
    ('reader', 'classes', 'fraction', 'sizes'),
    [(aid, 30, 0.5, (9, 1, 10)), (aid, 30, 0.2, (3, 1, 16)), (nwpu_resisc45, 45, 0.2, (3, 1, 16)),
     (nwpu_resisc45, 45, 0.1, (1, 1, 18))],
)
def test_the_splits_that_papers_report(tmp_path, reader, classes, fraction, sizes):
    fill(tmp_path, classes, 20)
    data = reader(tmp_path, train_fraction=fraction, side=8)
    for name, size in zip(('train', 'val', 'test'), sizes, strict=True):
        split = data.split(name)
        assert np.bincount(split.labels).tolist() == [size] * classes
        assert np.array_equal(split.images[:, 0, 0, 0], split.labels)
    parts = [places(data.split(name)) for name in ('train', 'val', 'test')]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 20 * classes
    again = reader(tmp_path, train_fraction=fraction, side=8)
    other = reader(tmp_path, train_fraction=fraction, side=8, seed=1)
    assert data.sha256 == again.sha256 != other.sha256


def test_a_scene_folder_that_lacks_something_says_what(tmp_path):
    fill(tmp_path, 3, 4)
    with pytest.raises(DatasetError, match='3 class folders, the set has 30'):
        aid(tmp_path)
    with pytest.raises(DatasetError, match='train_fraction must lie between'):
        scene_folders(tmp_path, train_fraction=1.5)
    with pytest.raises(DatasetError, match='split "val" has no picture of c00'):
        scene_folders(tmp_path, train_fraction=0.25)
    (tmp_path / 'c01' / '002.png').write_bytes(b'no picture')
    with pytest.raises(DatasetError, match=r'002\.png: broken picture'):
        scene_folders(tmp_path, train_fraction=0.5)


def test_eurosat_folders_and_packs_give_the_same_split(tmp_path):
    fill(tmp_path / 'folders', 10, 20, (64, 64))
    data = eurosat(tmp_path / 'folders', side=32)
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [140, 30, 30]
    order = np.random.default_rng(2025).permutation(200)
    assert data.split('test').labels.tolist() == (order[170:] // 20).tolist()
    packs = tmp_path / 'packs'
    packs.mkdir()
    full = eurosat(tmp_path / 'folders')
    for name in ('train', 'val', 'test'):
        split = full.split(name)
        mosaic = split.images.reshape(10, -1, 64, 64, 3).transpose(0, 2, 1, 3, 4)
        stream = io.BytesIO()
        Image.fromarray(mosaic.reshape(640, -1, 3)).save(stream, 'WEBP', lossless=True)
        blob = np.frombuffer(stream.getvalue(), np.uint8)
        np.savez(packs / f'eurosat_{name}.npz', blob=blob, offsets=np.array([0, len(blob)]),
                 side=np.array(64), labels=split.labels.astype(np.uint8),
                 classes=np.array(data.classes))
    assert eurosat(packs, side=32).sha256 == data.sha256
    (packs / 'eurosat_val.npz').unlink()
    with pytest.raises(DatasetError, match=r'eurosat_val\.npz: missing'):
        eurosat(packs)


def test_imagenet_folders_are_decoded_when_asked_for(tmp_path):
    fill(tmp_path / 'train', 3, 10, (40, 20))
    fill(tmp_path / 'val', 3, 4, (20, 30))
    data = imagenet(tmp_path, side=16, resize=18, val=6)
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [24, 6, 12]
    split = data.split('train')
    batch = split.images[np.array([5, 0, 23])]
    assert batch.shape == (3, 16, 16, 3)
    assert batch[:, 0, 0, 0].tolist() == split.labels[[5, 0, 23]].tolist()
    assert split.images[2:4].shape == (2, 16, 16, 3)
    before = data.sha256
    (tmp_path / 'train' / 'c00' / '000.png').write_bytes(b'no picture')
    assert imagenet(tmp_path, side=16, resize=18, val=6).sha256 != before
    with pytest.raises(DatasetError, match=r'000\.png: broken picture'):
        [data.split(name).images[:] for name in ('train', 'val')]
    with pytest.raises(DatasetError, match='missing'):
        imagenet(tmp_path / 'val')
