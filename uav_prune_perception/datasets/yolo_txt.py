# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""YOLO txt: a data.yaml, pictures under ``images/``, one txt per picture under ``labels/``.

A line is ``class cx cy width height`` in fractions of the picture; longer lines are polygons or
oriented boxes (``class x1 y1 x2 y2 ...``) and count as the upright box around them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from .annotations import (
    ENCODING,
    PICTURE_SUFFIXES,
    AnnotatedPicture,
    AnnotatedSet,
    Fault,
    bounds_of,
    either_case,
    files_with,
    note_unused,
    open_notes,
    pictures_below,
    quoted,
)
from .detection_set import SPLITS, DatasetError, SplitName

BOX_FIELDS = 5
KEYS = {'train': ('train',), 'val': ('val', 'valid', 'validation'), 'test': ('test',)}
PIXELS = 2.0  # no fraction of a picture, be the box however far over its edge


def read_yolo(root: Path) -> AnnotatedSet:
    """Read a set.

    Args:
        root: the data.yaml, or the folder that holds it.

    Raises:
        DatasetError: no data.yaml, or it does not say names and folders.
    """
    path = _yaml_of(root)
    document = _document(path)
    result = AnnotatedSet('yolo', _names(path, document.get('names')))
    if document.get('nc') not in (None, len(result.classes)):
        text = f'nc: says {document["nc"]}, names: lists {len(result.classes)}'
        result.faults.append(Fault('bad line', str(path), text))
    pictures: dict[SplitName, list[Path]] = {}
    for split in SPLITS:
        entry = next((document[key] for key in KEYS[split] if document.get(key)), None)
        if entry:
            pictures[split] = _named(path, document, entry)
    if 'train' not in pictures:
        raise DatasetError(f'{path}: train: is missing; name the folder of the training pictures')
    _note_orphans([image for own in pictures.values() for image in own], result)
    points = _points(path, document.get('kpt_shape'))
    for split, own in pictures.items():
        read = (_picture(image, points, result) for image in own)
        result.splits[split] = [picture for picture in read if picture is not None]
    return result


def _points(path: Path, shape: object) -> int:
    """Numbers of key points that stand behind each box."""
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(n) is int for n in shape):
        raise DatasetError(f'{path}: kpt_shape: wants [points, 2 or 3], not {str(shape)[:40]}')
    return int(shape[0] * shape[1])


def _names(path: Path, names: object) -> tuple[str, ...]:
    if isinstance(names, dict):
        by_label = {str(key): value for key, value in names.items()}
        labels = [str(label) for label in range(len(names))]
        if by_label.keys() != set(labels):
            raise DatasetError(
                f'{path}: names: the labels must count 0, 1, 2, ...; there are '
                f'{", ".join(map(str, names))}'
            )
        names = [by_label[label] for label in labels]
    if not isinstance(names, list) or not names:
        wrong = 'is missing' if names in (None, []) else f'is {str(names)[:40]!r}, no list'
        raise DatasetError(f'{path}: names: {wrong}; list the class names in label order')
    for index, name in enumerate(names):
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            raise DatasetError(
                f'{path}: names: {str(name)[:40]!r} (label {index}) is no name; put it in quotes'
            )
        if name in names[:index]:
            raise DatasetError(
                f'{path}: names: {str(name)[:40]!r} (label {index}) is there twice'
            )
    return tuple(str(name) for name in names)


def _yaml_of(root: Path) -> Path:
    if root.is_file():
        return root
    found = sorted([*root.glob('data.yaml'), *root.glob('*.yaml'), *root.glob('*.yml')])
    if not found:
        raise DatasetError(f'{root}: no data.yaml in it; give the YOLO data file or its folder')
    return next((path for path in found if path.stem == 'data'), found[0])


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except UnicodeDecodeError as error:
        raise DatasetError(f'{path}: is not UTF-8 ({error.reason}); save it as UTF-8') from None
    except (OSError, RecursionError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())[:160]
        raise DatasetError(f'{path}: cannot be read: {reason}') from None
    if not isinstance(document, dict):
        raise DatasetError(f'{path}: is not a YOLO data file (train:, val:, names:)')
    return document


def _named(path: Path, document: dict[str, Any], entry: object) -> list[Path]:
    """The pictures of a split."""
    entries = entry if isinstance(entry, list) else [entry]
    found = [picture for one in entries for picture in _listed(path, document, str(one))]
    if not found:
        raise DatasetError(f'{path}: no picture in {", ".join(map(str, entries))}')
    return found


def _note_orphans(images: list[Path], result: AnnotatedSet) -> None:
    """Label files beside those that are read: of no picture, or of one that no split names."""
    labels = {image: label_file(image) for image in images}
    known = set(labels.values())
    homes = {file.parent: image.parent for image, file in labels.items() if image.is_file()}
    unused = []
    for folder, home in homes.items():
        for file in files_with(folder, '.txt'):
            if file in known or file.name == 'classes.txt':
                continue
            own = (either_case(home / f'{file.stem}{suffix}') for suffix in PICTURE_SUFFIXES)
            picture = next((path for path in own if path.is_file()), None)
            if picture is not None:
                unused.append(picture)
            elif file.parent != home:  # beside pictures, lists and notes lie too
                result.faults.append(
                    Fault('missing picture', str(file), 'labels of no picture; left out')
                )
    note_unused(unused, 'with labels in no split', result.faults)


def _listed(path: Path, document: dict[str, Any], entry: str) -> list[Path]:
    """The pictures of one entry: a folder, or a txt file with a path on each line."""
    base = Path(str(document.get('path') or '.')).expanduser()
    tried = [base / entry, path.parent / base / entry, path.parent / entry]
    if entry.startswith('../'):  # as one well-known exporter writes it, meaning ./
        tried.append(path.parent / entry[3:])
    for place in tried:
        if place.is_dir():
            return list(pictures_below(place))
        if place.is_file():
            lines = place.read_text(encoding=ENCODING, errors='replace').split('\n')
            named = [Path(line.strip()) for line in lines if line.strip()]
            return [p if p.is_absolute() else place.parent / p for p in named]
    raise DatasetError(f'{path}: "{entry}" is not there; mend path: or the split\'s entry')


def label_file(picture: Path) -> Path:
    """Where the labels of a picture lie: the last ``images`` of the path becomes ``labels``.

    Where nothing is there but beside the picture, that.
    """
    parts = list(picture.with_suffix('.txt').parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == 'images':
            parts[index] = 'labels'
            break
    usual = either_case(Path(*parts))
    if usual.is_file():
        return usual
    beside = either_case(picture.with_suffix('.txt'))
    return beside if beside.is_file() else usual


def _picture(path: Path, points: int, result: AnnotatedSet) -> AnnotatedPicture | None:
    notes = open_notes(path, result.faults)
    if notes is None:
        return None
    labels = label_file(path)
    try:
        lines = labels.read_text(encoding=ENCODING).splitlines()
    except FileNotFoundError:
        # A picture without objects has an empty file or none; the check tells, training takes it.
        result.faults.append(Fault('no labels', str(path), f'no {labels.name}; taken as empty'))
        return notes.picture()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'not UTF-8 text'
        result.faults.append(Fault('bad line', str(labels), f'{reason}; its picture is left out'))
        return None
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f'{labels}:{number}'
            row = _row(line, place, points, result)
            if row is not None:
                scale = (notes.width, notes.height) * 2
                notes.add(row[0], [v * s for v, s in zip(row[1], scale, strict=True)], place)
    return notes.picture()


def _row(
    line: str, place: str, points: int, result: AnnotatedSet
) -> tuple[int, tuple[float, float, float, float]] | None:
    """Label and corners in fractions of the picture; the box alone where key points follow."""
    try:
        label, *values = [float(word) for word in line.split()]
    except ValueError:
        label, values = math.nan, []
    if points and len(values) == BOX_FIELDS - 1 + points:
        values = values[:BOX_FIELDS - 1]
    polygon = len(values) >= 6 and len(values) % 2 == 0
    whole = math.isfinite(label) and label == int(label)
    if not whole or not (len(values) == BOX_FIELDS - 1 or polygon):
        text = f'{quoted(line.strip())} is not "class cx cy width height", numbers with a point'
        if len(values) == BOX_FIELDS:
            text += ' (a score at the end? these are detections, not labels)'
        result.faults.append(Fault('bad line', place, text))
        return None
    if not 0 <= label < len(result.classes):
        text = f'{label:.0f}, but there are {len(result.classes)} names, counted from 0'
        result.faults.append(Fault('unknown class', place, text))
        return None
    if any(math.isfinite(value) and abs(value) > PIXELS for value in values):
        text = f'{quoted(line.strip())}: fractions of the picture are wanted, not pixels'
        result.faults.append(Fault('bad line', place, text))
        return None
    if polygon:
        return int(label), bounds_of(values)
    cx, cy, w, h = values
    return int(label), (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
