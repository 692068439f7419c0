# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The same three pictures written in every format are read as the same boxes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from uav_prune_perception.datasets.annotation_formats import read_annotations
from uav_prune_perception.datasets.detection_set import DatasetError

SIZE = (100, 60)
# Class name and corners, in pixels.
BOXES = {
    'a': [('ship', (10, 20, 30, 50)), ('vehicle', (60, 5, 90, 25))],
    'b': [('vehicle', (0, 0, 100, 60))],
    'c': [],
}
NAMES = ['ship', 'vehicle']


def pictures(folder, names=BOXES):
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        Image.new('RGB', SIZE, (index * 60, 90, 30)).save(folder / f'{name}.png')


def write_yolo(root):
    for split in ('train', 'val'):
        pictures(root / 'images' / split)
        (root / 'labels' / split).mkdir(parents=True)
        for name, boxes in BOXES.items():
            lines = []
            for label, (x1, y1, x2, y2) in boxes:
                row = ((x1 + x2) / 200, (y1 + y2) / 120, (x2 - x1) / 100, (y2 - y1) / 60)
                lines.append(f'{NAMES.index(label)} ' + ' '.join(f'{value:.6f}' for value in row))
            (root / 'labels' / split / f'{name}.txt').write_text('\n'.join(lines) + '\n')
    document = {'train': 'images/train', 'val': 'images/val', 'names': dict(enumerate(NAMES))}
    (root / 'data.yaml').write_text(yaml.safe_dump(document))


def write_coco(root, words=('annotations', 'file_name')):
    (root / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        pictures(root / split)
        document = {
            'categories': [{'id': 7, 'name': 'vehicle'}, {'id': 3, 'name': 'ship'},
                           {'id': 9, 'name': 'DontCare'}],
            'images': [{'id': name, words[1]: f'{name}.png'} for name in BOXES],
            words[0]: [
                {'id': 1, 'image_id': name, 'category_id': {'ship': 3, 'vehicle': 7}[label],
                 'bbox': [x1, y1, x2 - x1, y2 - y1]}
                for name, boxes in BOXES.items() for label, (x1, y1, x2, y2) in boxes
            ],
        }
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(document))


def write_voc(root):
    pictures(root / 'JPEGImages')
    (root / 'Annotations').mkdir()
    (root / 'ImageSets' / 'Main').mkdir(parents=True)
    for name, boxes in BOXES.items():
        objects = ''.join(
            f'<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1}</xmin>'
            f'<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
            for label, (x1, y1, x2, y2) in boxes
        )
        (root / 'Annotations' / f'{name}.xml').write_text(f'<annotation>{objects}</annotation>')
    for split in ('train', 'val'):
        (root / 'ImageSets' / 'Main' / f'{split}.txt').write_text('\n'.join(BOXES))


def write_dota(root):
    for split in ('train', 'val'):
        pictures(root / split / 'images')
        (root / split / 'labelTxt').mkdir()
        for name, boxes in BOXES.items():
            lines = ['imagesource:GoogleEarth', 'gsd:0.1']
            for label, (x1, y1, x2, y2) in boxes:  # corners in another order: oriented boxes
                lines.append(f'{x2} {y1} {x2} {y2} {x1} {y2} {x1} {y1} {label} 0')
            (root / split / 'labelTxt' / f'{name}.txt').write_text('\n'.join(lines))


@pytest.mark.parametrize(
    ('write', 'form'),
    [(write_yolo, 'yolo'), (write_coco, 'coco'), (write_voc, 'voc'), (write_dota, 'dota'),
     (lambda root: write_coco(root, ('annotation', 'filename')), 'coco')],
    ids=['yolo', 'coco', 'voc', 'dota', 'hit_uav json'],
)
def test_every_format_is_recognised_and_says_the_same(tmp_path, write, form):
    write(tmp_path)
    found = read_annotations(tmp_path)
    assert (found.format, found.faults) == (form, [])
    assert sorted(found.classes) == NAMES
    for split in ('train', 'val'):
        assert [picture.path.stem for picture in found.splits[split]] == list(BOXES)
        for picture in found.splits[split]:
            assert (picture.width, picture.height) == SIZE
            names = [found.classes[label] for label in picture.labels]
            expected = BOXES[picture.path.stem]
            assert names == [name for name, _ in expected]
            np.testing.assert_allclose(
                picture.boxes.reshape(-1, 4), np.reshape([box for _, box in expected], (-1, 4)),
                atol=1e-3,
            )


def test_visdrone_regions_to_ignore_are_kept_apart(tmp_path):
    for split in ('train', 'val', 'test-dev'):
        folder = tmp_path / f'VisDrone2019-DET-{split}'
        pictures(folder / 'images', ['a'])
        (folder / 'annotations').mkdir()
        (folder / 'annotations' / 'a.txt').write_text(
            '10,20,30,10,1,4,0,0\n0,0,50,50,0,0,0,0,\n5,5,10,10,1,11,0,0\n'
        )
    found = read_annotations(tmp_path)
    assert (found.format, found.faults, len(found.classes)) == ('visdrone', [], 10)
    for split in ('train', 'val', 'test'):
        (picture,) = found.splits[split]
        assert [found.classes[label] for label in picture.labels] == ['car']
        np.testing.assert_array_equal(picture.boxes, [[10, 20, 40, 30]])
        np.testing.assert_array_equal(picture.ignore, [[0, 0, 50, 50], [5, 5, 15, 15]])


def test_vhr10_is_split_60_20_20_and_always_the_same(tmp_path):
    names = [f'{index:03}' for index in range(1, 11)]
    pictures(tmp_path / 'positive image set', names)
    (tmp_path / 'ground truth').mkdir()
    for name in names:
        (tmp_path / 'ground truth' / f'{name}.txt').write_text('(10, 20),( 30,50),10 \n')
    found, again = read_annotations(tmp_path), read_annotations(tmp_path)
    chosen = {split: [p.path.name for p in rows] for split, rows in found.splits.items()}
    assert [len(chosen[split]) for split in ('train', 'val', 'test')] == [6, 2, 2]
    assert len({name for rows in chosen.values() for name in rows}) == 10
    assert chosen == {split: [p.path.name for p in rows] for split, rows in again.splits.items()}
    assert found.classes[found.splits['train'][0].labels[0]] == 'vehicle'


def test_every_slip_in_the_labels_is_named_with_its_line(tmp_path):
    write_yolo(tmp_path)
    labels = tmp_path / 'labels' / 'train'
    (labels / 'a.txt').write_text(
        '0 0.5 0.5 0.2 0.2\n'
        'ship 0.5 0.5 0.2 0.2\n'  # a name where a number belongs
        '5 0.5 0.5 0.2 0.2\n'  # no such class
        '1 0.95 0.5 0.3 0.2\n'  # over the right edge
        '1 0.5 0.5 0.0 0.2\n'  # no width
        '1 0.5 0.5 nan 0.2\n'
        '0 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4\n'  # a polygon
    )
    (labels / 'c.txt').unlink()
    (tmp_path / 'images' / 'train' / 'b.png').write_bytes(b'\x89PNG')
    found = read_annotations(tmp_path)
    place = str(labels / 'a.txt')
    assert [(fault.kind, fault.place) for fault in found.faults] == [
        ('bad line', f'{place}:2'), ('unknown class', f'{place}:3'), ('box outside', f'{place}:4'),
        ('empty box', f'{place}:5'), ('empty box', f'{place}:6'),
        ('broken picture', str(tmp_path / 'images' / 'train' / 'b.png')),
        ('no labels', str(tmp_path / 'images' / 'train' / 'c.png')),
    ]
    first = found.splits['train'][0]
    np.testing.assert_allclose(
        first.boxes, [[40, 24, 60, 36], [80, 24, 100, 36], [10, 6, 30, 24]], atol=1e-3
    )


def test_crowds_and_dont_care_are_ignored_and_strays_named(tmp_path):
    write_coco(tmp_path)
    path = tmp_path / 'annotations' / 'instances_train.json'
    document = json.loads(path.read_text())
    document['annotations'] = [
        {'id': 1, 'image_id': 'a', 'category_id': 3, 'bbox': [0, 0, 5, 5], 'iscrowd': 1},
        {'id': 2, 'image_id': 'a', 'category_id': 9, 'bbox': [5, 5, 5, 5]},
        {'id': 3, 'image_id': 'x', 'category_id': 3, 'bbox': [5, 5, 5, 5]},
        {'id': 4, 'image_id': 'a', 'category_id': 4, 'bbox': [5, 5, 5, 5]},
        {'id': 5, 'image_id': 'a', 'category_id': 3, 'bbox': [5, 5]},
    ]
    document['images'].append({'id': 'gone', 'file_name': 'gone.png'})
    path.write_text(json.dumps(document))
    found = read_annotations(tmp_path)
    assert [fault.kind for fault in found.faults] == [
        'missing picture', 'missing picture', 'unknown class', 'bad line'
    ]
    picture = found.splits['train'][0]
    assert (len(picture.boxes), len(picture.ignore)) == (0, 2)


def test_pictures_that_a_camera_turned_are_taken_upright(tmp_path):
    write_yolo(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', SIZE).save(tmp_path / 'images' / 'train' / 'a.png', exif=exif)
    picture = read_annotations(tmp_path).splits['train'][0]
    assert (picture.width, picture.height) == (60, 100)


def test_what_is_no_data_set_is_refused_in_one_line(tmp_path):
    with pytest.raises(DatasetError, match='no such folder'):
        read_annotations(tmp_path / 'nowhere')
    with pytest.raises(DatasetError, match='of no known format'):
        read_annotations(tmp_path)
    with pytest.raises(DatasetError, match='there are yolo, coco'):
        read_annotations(tmp_path, 'yollo')
    (tmp_path / 'data.yaml').write_text('train: images\n')
    with pytest.raises(DatasetError, match='names: is missing'):
        read_annotations(tmp_path)
    (tmp_path / 'data.yaml').write_text('train: images\nnames: [a]\n')
    with pytest.raises(DatasetError, match='"images" is not there'):
        read_annotations(tmp_path)
