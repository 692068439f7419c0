# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import numpy as np
import pytest
import yaml
from PIL import Image

from uav_prune_perception.datasets.detection_folder import detection_folder
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.tiling import tiles_of
from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.onboard.preprocess import Preprocessor


def write(root, counts, size=(90, 50), names=('car', 'person'), boxes=((1, 0.5, 0.5, 0.2, 0.4),)):
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        (root / 'images' / split).mkdir(parents=True)
        (root / 'labels' / split).mkdir(parents=True)
        for index in range(count):
            noise = rng.integers(0, 255, (size[1], size[0], 3), np.uint8)
            Image.fromarray(noise).save(root / 'images' / split / f'{index:02}.png')
            lines = [' '.join(str(value) for value in box) for box in boxes]
            (root / 'labels' / split / f'{index:02}.txt').write_text('\n'.join(lines))
    document = {split: f'images/{split}' for split in counts} | {'names': list(names)}
    (root / 'data.yaml').write_text(yaml.safe_dump(document))


def test_pictures_and_boxes_lie_where_the_node_puts_them(tmp_path):
    write(tmp_path, {'train': 2, 'val': 1, 'test': 1})
    data = detection_folder(tmp_path, width=64, height=64)
    split = data.split('val')
    spec = InputSpec(64, 64, mean=(0.0,) * 3, std=(1.0,) * 3)
    image = np.asarray(Image.open(tmp_path / 'images' / 'val' / '00.png'))
    tensor, geometry = Preprocessor(spec)(image, 'rgb')
    np.testing.assert_allclose(split.images[0].transpose(2, 0, 1) / 255.0, tensor[0], atol=1e-6)
    np.testing.assert_allclose(geometry.to_image(split.boxes[0]), [[36, 15, 54, 35]], atol=1e-3)
    assert list(data.classes) == ['car', 'person']
    assert split.labels[0].tolist() == [1]


def test_without_a_test_split_val_judges_and_train_gives_what_selects(tmp_path, caplog):
    write(tmp_path, {'train': 10, 'val': 4})
    with caplog.at_level(logging.WARNING):
        data = detection_folder(tmp_path, width=32, height=32, val_fraction=0.2)
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [8, 2, 4]
    assert 'val (2) drawn at random from its training pictures (8 are left' in caplog.text


def test_tiles_cover_the_picture_and_a_box_is_whole_in_one_of_them(tmp_path):
    tiles = tiles_of(250, 100, 100, 20)
    assert [(tile.left, tile.right) for tile in tiles] == [(0, 100), (80, 180), (150, 250)]
    box = (0, 95 / 250, 0.5, 30 / 250, 0.2)  # 80..110: cut by the first tile, whole in the second
    write(tmp_path, {'train': 1, 'val': 1, 'test': 1}, size=(250, 100), boxes=[box])
    split = detection_folder(
        tmp_path, width=100, height=100, tile=100, overlap=20
    ).split('train')
    assert split.images.shape == (3, 100, 100, 3)
    np.testing.assert_allclose(split.boxes[1], [[0, 40, 30, 60]], atol=1e-3)
    assert [len(boxes) for boxes in split.boxes] == [0, 1, 0]
    np.testing.assert_allclose(split.ignore[0], [[80, 40, 100, 60]], atol=1e-3)
    image = np.asarray(Image.open(tmp_path / 'images' / 'train' / '00.png'))
    np.testing.assert_array_equal(split.images[2], image[:, 150:250])
    with pytest.raises(DatasetError, match=r'data\.tile: overlap must be'):
        detection_folder(tmp_path, width=32, height=32, tile=50, overlap=50)


def test_some_classes_only_in_the_order_asked(tmp_path):
    boxes = [(0, 0.2, 0.5, 0.2, 0.4), (1, 0.6, 0.5, 0.2, 0.4)]
    write(tmp_path, {'train': 1, 'val': 1, 'test': 1}, boxes=boxes)
    data = detection_folder(tmp_path, width=32, height=32, classes=['person'])
    assert data.classes == ('person',)
    assert data.split('train').labels[0].tolist() == [0]
    with pytest.raises(DatasetError, match=r'data\.classes: "dog" is not in'):
        detection_folder(tmp_path, width=32, height=32, classes=['dog'])


def test_faults_are_left_out_or_refused(tmp_path, caplog):
    write(tmp_path, {'train': 4, 'val': 1, 'test': 1})
    picture = tmp_path / 'images' / 'train' / '02.png'
    picture.write_bytes(picture.read_bytes()[:2000])  # whole header, truncated pixels
    (tmp_path / 'labels' / 'train' / '01.txt').write_text('nonsense\n')
    with caplog.at_level(logging.WARNING):
        data = detection_folder(tmp_path, width=32, height=32)
        assert len(data.split('train')) == 3
    assert '01.txt:1: bad line' in caplog.text
    assert '02.png: broken picture' in caplog.text
    with pytest.raises(DatasetError, match=r'01\.txt:1: bad line'):
        detection_folder(tmp_path, width=32, height=32, broken='refuse')


def test_the_digest_follows_pixels_labels_and_settings(tmp_path):
    write(tmp_path, {'train': 2, 'val': 1, 'test': 1})

    def digest(**options):
        return detection_folder(tmp_path, **{'width': 32, 'height': 32, **options}).sha256

    first = digest()
    assert first == digest()
    assert len({first, digest(width=64), digest(tile=40), digest(train_limit=1)}) == 4
    (tmp_path / 'labels' / 'val' / '00.txt').write_text('0 0.5 0.5 0.2 0.4')
    second = digest()
    Image.new('RGB', (90, 50)).save(tmp_path / 'images' / 'test' / '00.png')
    assert len({first, second, digest()}) == 3


def test_more_than_eight_bits_are_refused_not_squashed(tmp_path):
    write(tmp_path, {'train': 2, 'val': 1, 'test': 1})
    deep = np.full((50, 90), 40000, np.uint16)
    Image.fromarray(deep).save(tmp_path / 'images' / 'val' / '00.png')
    data = detection_folder(tmp_path, width=32, height=32, channels=1, broken='refuse')
    with pytest.raises(DatasetError, match='convert it to 8 bits'):
        data.split('val')
