# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.hit_uav import hit_uav


def pack(folder, name, count=3):
    blobs = []
    for index in range(count):
        stream = io.BytesIO()
        Image.new('L', (640, 512), 40 * index).save(stream, 'WEBP')
        blobs.append(np.frombuffer(stream.getvalue(), np.uint8))
    boxes = np.array([[0, 10, 20, 30, 40], [4, 100, 100, 50, 50]] * count, np.float32)
    np.savez(
        folder / f'hit_uav_{name}.npz',
        blob=np.concatenate(blobs),
        offsets=np.cumsum([0, *map(len, blobs)]),
        names=np.array([f'{i}.webp' for i in range(count)]),
        boxes=boxes,
        first_box=np.arange(count + 1) * 2,
        classes=np.array(['Person', 'Car', 'Bicycle', 'OtherVehicle', 'DontCare']),
    )


@pytest.fixture
def folder(tmp_path):
    for name in ('train', 'val', 'test'):
        pack(tmp_path, name)
    return tmp_path


def test_boxes_scale_with_the_picture_and_dont_care_becomes_ignore(folder):
    data = hit_uav(folder, width=320, height=256, train_limit=2)
    split = data.split('train')
    assert data.classes == ('Person', 'Car', 'Bicycle', 'OtherVehicle')
    assert split.images.shape == (2, 256, 320, 1)
    np.testing.assert_allclose(split.boxes[0], [[5, 10, 20, 30]])
    np.testing.assert_allclose(split.ignore[0], [[50, 50, 75, 75]])
    assert split.labels[0].tolist() == [0]
    assert len(data.split('val')) == 3


def test_networks_for_colour_get_grey_three_times_over(folder):
    images = hit_uav(folder, width=32, height=24, channels=3).split('val').images
    grey = hit_uav(folder, width=32, height=24).split('val').images
    np.testing.assert_array_equal(images, np.concatenate([grey] * 3, axis=3))
    with pytest.raises(DatasetError, match=r'data\.channels: must be 1 or 3'):
        hit_uav(folder, channels=2)


def test_the_digest_follows_the_files(folder):
    before = hit_uav(folder).sha256
    assert hit_uav(folder, channels=3).sha256 != before
    pack(folder, 'val', count=2)
    assert hit_uav(folder).sha256 != before


def test_missing_and_damaged_files_are_named(folder):
    (folder / 'hit_uav_val.npz').write_bytes(b'PK damaged')
    with pytest.raises(DatasetError, match=r'hit_uav_val\.npz: not a packed'):
        hit_uav(folder).split('val')
    (folder / 'hit_uav_test.npz').unlink()
    with pytest.raises(DatasetError, match=r'hit_uav_test\.npz: missing'):
        hit_uav(folder)
