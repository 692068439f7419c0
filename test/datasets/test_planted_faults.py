# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Faults as people have them: each is named with its place, and no reader fails on one."""

from __future__ import annotations

import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest
import yaml
from faster_coco_eval.core import mask
from PIL import Image

from uav_prune_perception.datasets.annotation_formats import read_annotations
from uav_prune_perception.datasets.check import check_pictures
from uav_prune_perception.datasets.decoding import read_upright
from uav_prune_perception.datasets.detection_folder import detection_folder
from uav_prune_perception.datasets.detection_set import DatasetError

SIZE = (160, 120)
GOOD_YOLO = '0 0.5 0.5 0.1 0.1\n'


def pictures(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new('RGB', SIZE, (index * 9, 90, 30)).save(folder / f'{index:02}.png')


def yolo(root, lines, document=None):
    pictures(root / 'images' / 'train', len(lines))
    (root / 'labels' / 'train').mkdir(parents=True)
    for index, line in enumerate(lines):
        content = line if isinstance(line, bytes) else line.encode()
        (root / 'labels' / 'train' / f'{index:02}.txt').write_bytes(content)
    document = {'train': 'images/train', 'names': ['car', 'person'], **(document or {})}
    (root / 'data.yaml').write_text(yaml.safe_dump(document))
    return root


def coco(root, change):
    pictures(root / 'train', 4)
    document = {
        'categories': [{'id': 1, 'name': 'car'}, {'id': 2, 'name': 'person'}],
        'images': [{'id': i, 'file_name': f'{i:02}.png'} for i in range(4)],
        'annotations': [
            {'id': i, 'image_id': i, 'category_id': 1, 'bbox': [10, 10, 30, 30]} for i in range(4)
        ],
    }
    (root / 'annotations').mkdir()
    changed = change(document)
    content = changed if isinstance(changed, bytes) else json.dumps(document).encode()
    (root / 'annotations' / 'instances_train.json').write_bytes(content)
    return root


def found_in(root):
    found = read_annotations(root)
    faults = [(f.kind, f.place.rpartition('/')[2]) for f in found.faults]
    return [len(picture.boxes) for picture in found.splits['train']], faults


def test_lines_of_yolo_that_are_no_boxes(tmp_path):
    lines = [
        b'\xef\xbb\xbf' + GOOD_YOLO.encode(), GOOD_YOLO.replace('\n', '\r\n') * 1,
        'nan 0.5 0.5 0.1 0.1', 'inf 0.5 0.5 0.1 0.1', '0 inf 0.5 0.1 0.1', '0 0,5 0,5 0,1 0,1',
        '0 80 60 20 20', GOOD_YOLO * 2, b'\xff\xfe0\x00', '0 0.1 0.1 nan 0.1 0.3 0.4',
    ]
    root = yolo(tmp_path, lines)
    (root / 'labels' / 'train' / 'alone.txt').write_text(GOOD_YOLO)
    (root / 'labels' / 'train' / 'classes.txt').write_text('car\nperson\n')
    boxes, faults = found_in(root)
    assert boxes == [1, 1, 0, 0, 0, 0, 0, 1, 0], 'the one that is no text is left out'
    assert faults == [
        ('missing picture', 'alone.txt'), ('bad line', '02.txt:1'), ('bad line', '03.txt:1'),
        ('empty box', '04.txt:1'), ('bad line', '05.txt:1'), ('bad line', '06.txt:1'),
        ('duplicate box', '07.txt:2'), ('bad line', '08.txt'), ('empty box', '09.txt:1'),
    ]


@pytest.mark.parametrize(
    ('names', 'words'),
    [({0: 'car', 5: 'person'}, 'must count 0, 1, 2, ...; there are 0, 5'),
     ({'a': 'car'}, 'must count'), (['car', 'car'], "'car' (label 1) is there twice"),
     (['car', None], 'is no name'), ('car', 'list the class names')],
)
def test_names_of_yolo_that_do_not_say_which_is_which(tmp_path, names, words):
    root = yolo(tmp_path, [GOOD_YOLO], {'names': names})
    with pytest.raises(DatasetError) as error:
        read_annotations(root)
    assert words in str(error.value)
    assert 'data.yaml' in str(error.value)


def test_the_number_of_classes_must_fit_the_names(tmp_path):
    assert found_in(yolo(tmp_path, [GOOD_YOLO], {'nc': 5}))[1] == [('bad line', 'data.yaml')]


def test_ids_of_coco_as_texts_and_boxes_from_polygons(tmp_path):
    def change(document):
        for row in document['annotations']:
            row.update(image_id=str(row['image_id']), category_id='1')
        del document['annotations'][0]['bbox']
        document['annotations'][0]['segmentation'] = [[10, 10, 40, 10, 40, 40, 10, 40]]

    found = read_annotations(coco(tmp_path, change))
    assert found.faults == []
    np.testing.assert_array_equal(found.splits['train'][0].boxes, [[10, 10, 40, 40]])


def test_rows_of_coco_that_are_none(tmp_path):
    def change(document):
        document['images'] += ['x', None, {'id': 7}, {'id': 0, 'file_name': '01.png'},
                               {'id': [1], 'file_name': '01.png'}]
        document['images'][1].update(width=640, height=480)
        document['annotations'] += [
            'text', {'id': 9, 'image_id': [0], 'category_id': 1, 'bbox': [1, 1, 5, 5]},
            {'id': 10, 'image_id': 0, 'category_id': [1], 'bbox': [1, 1, 5, 5]},
            {'id': 11, 'image_id': 0, 'category_id': 1, 'segmentation': {'counts': 'x'}},
            {'id': 12, 'image_id': 0, 'category_id': 1, 'bbox': '1 2 3 4'},
        ]

    boxes, faults = found_in(coco(tmp_path, change))
    assert boxes == [1, 1, 1, 1]
    place = 'instances_train.json: '
    assert faults == [
        ('wrong size', f'{place}image 1'), ('bad line', f'{place}image number 5'),
        ('bad line', f'{place}image number 6'), ('bad line', f'{place}image 7'),
        ('bad line', f'{place}image 0'), ('bad line', f'{place}image number 9'),
        ('bad line', f'{place}annotation number 5'), ('missing picture', f'{place}annotation 9'),
        ('unknown class', f'{place}annotation 10'), ('bad line', f'{place}annotation 11'),
        ('bad line', f'{place}annotation 12'),
    ]


@pytest.mark.parametrize(
    ('change', 'words'),
    [(lambda _: b'', 'it is empty'), (lambda _: b'null', 'is not COCO json'),
     (lambda _: b'[' * 100_000, 'cannot be read'), (lambda _: b'3', 'is not COCO json'),
     (lambda d: d.update(annotations=None), 'is not COCO json'),
     (lambda d: d.update(categories=[{'id': 1, 'name': 'a'}] * 2), 'id 1 is there twice'),
     (lambda d: d.update(categories=[{'id': 'x', 'name': 'a'}]), 'a whole id and a name')],
)
def test_json_that_is_not_coco_is_one_line(tmp_path, change, words):
    with pytest.raises(DatasetError, match=words) as error:
        read_annotations(coco(tmp_path, change))
    assert '\n' not in str(error.value)


def test_xml_that_no_parser_takes_is_named(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    pictures(tmp_path / 'JPEGImages', 6)
    good = (
        '<annotation><size><width>640</width><height>480</height></size><object><name>car</name>'
        '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>'
        '</annotation>'
    )
    laughs = ''.join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    files = [
        good, '', '<?xml version="1.0" encoding="nonsense-8"?><annotation/>',
        f'<!DOCTYPE l [<!ENTITY l0 "ha">{laughs}]><annotation>&l9;</annotation>',
    ]
    for index, text in enumerate(files):
        (tmp_path / 'Annotations' / f'{index:02}.xml').write_text(text)
    (tmp_path / 'Annotations' / '04.xml').mkdir()
    boxes, faults = found_in(tmp_path)
    assert boxes == [1]
    assert faults == [
        ('no labels', '05.png'), ('bad line', '01.xml'), ('bad line', '02.xml'),
        ('bad line', '03.xml'), ('bad line', '04.xml'), ('wrong size', '00.xml'),
    ]


def test_lists_of_voc_may_have_a_byte_order_mark(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'ImageSets' / 'Main').mkdir(parents=True)
    pictures(tmp_path / 'JPEGImages', 2)
    box = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
    for name in ('00', '01'):
        (tmp_path / 'Annotations' / f'{name}.xml').write_text(
            f'<annotation><object><name>car</name>{box}</object></annotation>'
        )
    (tmp_path / 'ImageSets' / 'Main' / 'train.txt').write_bytes(b'\xef\xbb\xbf00\r\n01\r\n')
    assert found_in(tmp_path) == ([1, 1], [])


def test_lines_of_visdrone_keep_their_places(tmp_path):
    folder = tmp_path / 'VisDrone2019-DET-train'
    lines = ['10,10,30,30,1,4,0,0,', '10,,30,30,1,4,0,0', '10,10,30,30,nan,4,0,0']
    pictures(folder / 'images', len(lines))
    (folder / 'annotations').mkdir()
    for index, line in enumerate(lines):
        (folder / 'annotations' / f'{index:02}.txt').write_text(line)
    (folder / 'annotations' / 'alone.txt').write_text(lines[0])
    assert found_in(tmp_path) == ([1, 0, 0], [
        ('missing picture', 'alone.txt'), ('bad line', '01.txt:1'), ('bad line', '02.txt:1'),
    ])


def test_corners_of_dota_that_are_no_numbers(tmp_path):
    line = '10 10 40 10 40 40 10 {} car 0'
    pictures(tmp_path / 'train' / 'images', 3)
    (tmp_path / 'train' / 'labelTxt').mkdir(parents=True)
    for index, last in enumerate(('40', 'nan', 'inf')):
        text = '\N{BYTE ORDER MARK}imagesource:x\ngsd:1\n' + line.format(last)
        (tmp_path / 'train' / 'labelTxt' / f'{index:02}.txt').write_text(text, 'utf-8')
    boxes, faults = found_in(tmp_path)
    assert boxes == [1, 0, 0]
    assert faults == [('empty box', '01.txt:3'), ('empty box', '02.txt:3')]


def test_yolo_as_others_write_it_is_read(tmp_path):
    root = yolo(tmp_path, [GOOD_YOLO, GOOD_YOLO, '0 0.5 0.5 0.2 0.2 ' + '0.1 0.2 2 ' * 4],
                {'kpt_shape': [4, 3], 'valid': 'images/valid'})
    shutil.copytree(root / 'images' / 'train', root / 'images' / 'valid')
    shutil.move(root / 'labels' / 'train' / '00.txt', root / 'images' / 'train' / '00.txt')
    shutil.move(root / 'images' / 'train', root / 'store')
    (root / 'images' / 'train').mkdir()
    (root / 'images' / 'train' / 'linked').symlink_to(root / 'store')
    (root / 'images' / 'train' / 'back').symlink_to(root / 'images')
    shutil.move(root / 'labels' / 'train', root / 'texts')
    (root / 'labels' / 'train').mkdir()
    (root / 'labels' / 'train' / 'linked').symlink_to(root / 'texts')
    found = read_annotations(root)
    assert [len(picture.boxes) for picture in found.splits['train']] == [1, 1, 1]
    assert found.splits['train'][2].boxes.tolist() == [[64.0, 48.0, 96.0, 72.0]], 'key points'
    assert len(found.splits['val']) == 3, 'valid: is val:'
    assert {fault.kind for fault in found.faults} == {'no labels'}, 'those of val'


def test_lists_over_one_folder_make_no_strays(tmp_path):
    root = yolo(tmp_path, [GOOD_YOLO] * 4, {'train': 'train.txt', 'val': 'val.txt'})
    (root / 'train.txt').write_text('images/train/00.png\nimages/train/01.png\n')
    (root / 'val.txt').write_text('images/train/02.png\n')
    faults = read_annotations(root).faults
    assert [(fault.kind, fault.place) for fault in faults] == [
        ('not used', str(root / 'images' / 'train'))]
    assert '03.png' in faults[0].text


@pytest.mark.parametrize(('names', 'words'), [
    ('car, person', "names: is 'car, person', no list"),
    (['yes', True], r"'True' \(label 1\) is no name; put it in quotes"),
])
def test_names_that_are_no_names_are_shown(tmp_path, names, words):
    with pytest.raises(DatasetError, match=words):
        read_annotations(yolo(tmp_path, [GOOD_YOLO], {'names': names}))


def test_boxes_in_fractions_where_pixels_are_wanted(tmp_path):
    def change(document):
        document['annotations'][0]['bbox'] = [0.1, 0.1, 0.5, 0.5]
        document['annotations'][1].update(bbox=[], segmentation=[[10, 10, 40, 10, 40, 40]])
        document['images'][2].update(width=SIZE[1], height=SIZE[0])
        document['images'][3]['file_name'] = r'C:\data\train\03.png'

    root = coco(tmp_path, change)
    Image.new('RGB', SIZE).save(root / 'train' / 'extra.png')
    (root / 'annotations' / 'a_train_old.json').write_text('{}')
    boxes, faults = found_in(root)
    assert boxes == [0, 1, 1, 1]
    assert [kind for kind, _ in faults] == ['not used', 'wrong size', 'empty box', 'not used']
    assert 'fractions, where pixels are wanted' in read_annotations(root).faults[2].text


def voc(root, angle, listed):
    pictures(root / 'JPEGImages', 3)
    (root / 'Annotations').mkdir()
    (root / 'ImageSets' / 'Main').mkdir(parents=True)
    for index, name in enumerate(('car', 'Car', 'car')):
        (root / 'Annotations' / f'{index:02}.xml').write_text(
            f'<a><object><name>{name}</name><robndbox><cx>80</cx><cy>60</cy><w>40</w><h>10</h>'
            f'<angle>{angle}</angle></robndbox></object></a>')
    (root / 'ImageSets' / 'Main' / 'train.txt').write_text(listed)
    return root


def test_angles_in_degrees_and_pictures_in_no_split_of_voc(tmp_path):
    root = voc(tmp_path, 90, '00.png\n01.png\n')
    boxes, faults = found_in(root)
    assert boxes == [0, 0]
    assert faults == [
        ('not used', 'JPEGImages'), ('bad line', '00.xml: object 1'),
        ('bad line', '01.xml: object 1'),
    ]
    texts = [fault.text for fault in read_annotations(root).faults]
    assert texts[0].startswith('1 picture in no list of')
    assert 'radians' in texts[1]


def test_names_that_differ_in_case_only_are_told(tmp_path):
    found = read_annotations(voc(tmp_path, 1.5707963, '00\n01\n02\n'))
    assert found.splits['train'][0].boxes.round(3).tolist() == [[75.0, 40.0, 85.0, 80.0]]
    told = [str(fault) for fault in check_pictures(found) if fault.kind == 'similar names']
    assert told == ['classes: similar names: "Car" and "car" count as two; is it one class?']


def test_dota_without_a_single_object_says_why(tmp_path):
    (tmp_path / 'train' / 'labelTxt').mkdir(parents=True)
    pictures(tmp_path / 'train' / 'images', 1)
    labels = tmp_path / 'train' / 'labelTxt' / '00.txt'
    labels.write_text('gsd:0.1\n10 10 50 10 50 50 10 50 large vehicle 0\n')
    with pytest.raises(DatasetError, match=r'no object in any file; .*00.txt:2: bad line'):
        read_annotations(tmp_path)
    labels.write_text('10 10 50 10 50 50 10 50 plane 1\n')
    with pytest.raises(DatasetError, match='no object in any file, all are difficult'):
        read_annotations(tmp_path)


def test_colours_of_sixteen_bits_are_not_squashed(tmp_path):
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), np.full((8, 8, 3), 40000, np.uint16))
    with pytest.raises(DatasetError, match='more than 8 bits'):
        read_upright(path, 3)


def test_training_without_a_box_is_refused(tmp_path):
    root = yolo(tmp_path, ['', '', GOOD_YOLO, ''])
    with pytest.raises(DatasetError, match='not one box of person in train'):
        detection_folder(root, width=32, height=32, classes=['person'])


def test_a_folder_without_the_right_to_read_is_named(tmp_path, monkeypatch):
    root = yolo(tmp_path, [GOOD_YOLO])

    def closed(place, **options):  # root may look everywhere, so the system cannot be asked
        options['onerror'](PermissionError(13, 'Permission denied', str(place)))
        return iter(())

    monkeypatch.setattr(os, 'walk', closed)
    with pytest.raises(DatasetError, match='Permission denied; give this user the right'):
        read_annotations(root)


def test_crowds_given_by_a_mask_alone_are_regions_to_ignore(tmp_path):
    dark = np.zeros(SIZE[::-1], np.uint8, order='F')
    dark[20:50, 30:90] = 1
    runs = np.diff(np.flatnonzero(np.diff(dark.ravel('F'), prepend=0, append=0)), prepend=0)
    counts = [*runs.tolist(), dark.size - int(runs.sum())]
    size = list(dark.shape)
    packed = mask.encode(dark)['counts'].decode()

    def masks(document):
        for row, value in zip(
            document['annotations'], (counts, packed, packed + 'zz', counts[:-1]), strict=True
        ):
            row.update(iscrowd=1, segmentation={'size': size, 'counts': value})
            del row['bbox']

    found = read_annotations(coco(tmp_path, masks))
    for picture in found.splits['train'][:2]:
        assert picture.ignore.tolist() == [[30, 20, 90, 50]]
        assert len(picture.boxes) == 0
    assert [fault.place.split()[-1] for fault in found.faults] == ['2', '3']
    assert all('no polygon or mask' in fault.text for fault in found.faults)


def test_suffixes_in_capitals_are_the_same_suffixes(tmp_path):
    root = yolo(tmp_path / 'yolo', [GOOD_YOLO] * 3)
    for name in ('00', '01'):
        (root / f'labels/train/{name}.txt').rename(root / f'labels/train/{name}.TXT')
    (root / 'labels/train/stray.TXT').write_text(GOOD_YOLO)
    found = read_annotations(root)
    assert [len(picture.boxes) for picture in found.splits['train']] == [1, 1, 1]
    assert [fault.kind for fault in found.faults] == ['missing picture']
    other = voc(tmp_path / 'voc', 0.1, '00\n01\n')
    for path in (other / 'JPEGImages').iterdir():
        path.rename(path.with_suffix(path.suffix.upper()))
    for path in (other / 'Annotations').iterdir():
        path.rename(path.with_suffix('.XML'))
    assert len(read_annotations(other).splits['train']) == 2


def test_pages_behind_the_first_are_told(tmp_path):
    root = yolo(tmp_path, [GOOD_YOLO] * 3)
    pages = [Image.new('L', SIZE, shade) for shade in (10, 20, 30)]
    pages[0].save(root / 'images/train/pages.tif', save_all=True, append_images=pages[1:])
    (root / 'labels/train/pages.txt').write_text(GOOD_YOLO)
    (fault,) = read_annotations(root).faults
    assert fault.kind == 'not used'
    assert 'has 3 pages or frames; only the first' in fault.text


def test_the_preview_in_a_drone_s_jpeg_is_no_page(tmp_path):
    root = yolo(tmp_path, [GOOD_YOLO] * 3)
    picture, preview = Image.new('RGB', SIZE, 'gray'), Image.new('RGB', (40, 30), 'gray')
    path = root / 'images/train/dji.jpg'
    picture.save(path, format='MPO', save_all=True, append_images=[preview])
    (root / 'labels/train/dji.txt').write_text(GOOD_YOLO)
    with Image.open(path) as image:
        assert image.n_frames == 2
    assert read_annotations(root).faults == []


def test_labels_that_have_no_folder_are_one_line(tmp_path):
    pictures(tmp_path / 'VisDrone2019-DET-train' / 'images', 2)
    with pytest.raises(DatasetError):
        read_annotations(tmp_path, 'visdrone')


@pytest.mark.parametrize(('option', 'words'), [
    ({'train_limit': 0}, 'data.train_limit: 0 leaves no picture'),
    ({'eval_limit': -3}, 'data.eval_limit: -3 leaves no picture'),
    ({'classes': []}, 'data.classes: wants a list of names'),
])
def test_options_that_leave_nothing_are_refused(tmp_path, option, words):
    root = yolo(tmp_path, [GOOD_YOLO] * 6)
    with pytest.raises(DatasetError, match=re.escape(words)):
        detection_folder(root, width=32, height=32, **option)
