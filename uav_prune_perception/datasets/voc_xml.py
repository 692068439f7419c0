# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PASCAL VOC: ``Annotations/*.xml``, ``JPEGImages/``, splits in ``ImageSets/Main/*.txt``.

Coordinates in VOC count from 1 and include the last pixel; ``difficult`` objects are ignored in
learning and judging, as VOC's own evaluation does. Oriented objects (``robndbox``, in radians)
count as the upright box around them.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from .annotations import (
    ENCODING,
    PICTURE_SUFFIXES,
    AnnotatedPicture,
    AnnotatedSet,
    Fault,
    PictureNotes,
    either_case,
    files_with,
    note_unused,
    open_notes,
    pictures_below,
)
from .detection_set import SPLITS, DatasetError

YES = ('1', 'true', 'yes')  # of ``difficult``
FULL_TURN = 2 * math.pi + 0.01
LISTS = {'train': ('train', 'trainval'), 'val': ('val',), 'test': ('test',)}


class AngleError(Exception):
    """No angle in radians."""


def read_voc(root: Path) -> AnnotatedSet:
    """Read a set; the classes are all names that occur, in alphabetical order.

    Raises:
        DatasetError: the layout is not VOC's.
    """
    labels, lists = root / 'Annotations', root / 'ImageSets' / 'Main'
    if not labels.is_dir():
        raise DatasetError(f'{root}: no Annotations/ in it')
    names: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for split in SPLITS:
        found = [lists / f'{word}.txt' for word in LISTS[split]]
        file = next((path for path in found if path.is_file()), None)
        if file is not None:
            lines = file.read_text(encoding=ENCODING, errors='replace').split('\n')
            names[split] = [_name(line.split()[0]) for line in lines if line.strip()]
    if 'train' not in names:
        names = {'train': [path.stem for path in files_with(labels, '.xml')]}
        for path in pictures_below(root / 'JPEGImages'):
            if path.stem not in names['train']:
                faults.append(Fault('no labels', str(path), f'no {path.stem}.xml; left out'))
    else:
        listed = {name for split in names.values() for name in split}
        unused = (p for p in pictures_below(root / 'JPEGImages') if p.stem not in listed)
        note_unused(unused, f'in no list of {lists}', faults)
    trees = {
        name: _tree(either_case(labels / f'{name}.xml'), faults)
        for split in names.values() for name in split
    }
    found_names = {
        item.findtext('name', '').strip() for tree in trees.values() if tree is not None
        for item in tree.iter('object')
    } - {''}
    if not found_names:
        raise DatasetError(f'{labels}: no object in any xml')
    result = AnnotatedSet('voc', tuple(sorted(found_names)), faults=faults)
    for split in SPLITS:
        if split in names:
            pictures = (_picture(root, name, trees[name], result) for name in names[split])
            result.splits[split] = [picture for picture in pictures if picture is not None]
    return result


def _name(word: str) -> str:
    """Of a picture in a list; some lists give its file."""
    return Path(word).stem if Path(word).suffix.lower() in PICTURE_SUFFIXES else word


def _tree(path: Path, faults: list[Fault]) -> ElementTree.Element | None:
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError:
        faults.append(Fault('no labels', str(path), 'named by a split, not there; left out'))
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error  # LookupError: of the encoding
        faults.append(Fault('bad line', str(path), f'not XML: {reason}; left out'))
    return None


def _picture(
    root: Path, name: str, tree: ElementTree.Element | None, result: AnnotatedSet
) -> AnnotatedPicture | None:
    if tree is None:
        return None
    folder = root / 'JPEGImages'
    files = [either_case(folder / f'{name}{suffix}') for suffix in PICTURE_SUFFIXES]
    path = next((file for file in files if file.is_file()), files[0])
    notes = open_notes(path, result.faults)
    if notes is None:
        return None
    place = f'{root / "Annotations" / name}.xml'
    notes.compare_size(
        tree.findtext('size/width', ''), tree.findtext('size/height', ''), place
    )
    for index, item in enumerate(tree.iter('object'), 1):
        _add(notes, item, f'{place}: object {index}', result)
    return notes.picture()


def _add(
    notes: PictureNotes, item: ElementTree.Element, place: str, result: AnnotatedSet
) -> None:
    name = item.findtext('name', '').strip()
    try:
        corners = _corners(item)
    except AngleError as error:
        result.faults.append(Fault('bad line', place, str(error)))
        return
    if name not in result.classes or corners is None:
        result.faults.append(Fault('bad line', place, 'needs a name and a bndbox of four numbers'))
        return
    difficult = item.findtext('difficult', '0').strip().lower() in YES
    notes.add(None if difficult else result.classes.index(name), corners, place)


def _corners(item: ElementTree.Element) -> tuple[float, float, float, float] | None:
    box, turned = item.find('bndbox'), item.find('robndbox')
    try:
        if box is not None:
            x1, y1, x2, y2 = (
                float(box.findtext(key, '')) for key in ('xmin', 'ymin', 'xmax', 'ymax')
            )
            return x1 - 1, y1 - 1, x2, y2
        if turned is not None:
            cx, cy, w, h, angle = (
                float(turned.findtext(key, '')) for key in ('cx', 'cy', 'w', 'h', 'angle')
            )
            if abs(angle) > FULL_TURN:
                raise AngleError(
                    f'angle {angle:g}: a robndbox is turned by radians, and these are degrees; '
                    'left out'
                )
            c, s = abs(math.cos(angle)), abs(math.sin(angle))
            half_x, half_y = (w * c + h * s) / 2, (w * s + h * c) / 2
            return cx - half_x, cy - half_y, cx + half_x, cy + half_y
    except ValueError:
        return None
    return None
