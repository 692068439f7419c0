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
    AnnotatedPicture,
    AnnotatedSet,
    Fault,
    bounds_of,
    note_orphans,
    open_notes,
    pictures_below,
    quoted,
)
from .detection_set import SPLITS, DatasetError

BOX_FIELDS = 5
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
    for split in SPLITS:
        entry = document.get(split)
        if entry:
            result.splits[split] = _split(path, document, entry, result)
    if 'train' not in result.splits:
        raise DatasetError(f'{path}: train: is missing; name the folder of the training pictures')
    return result


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
        raise DatasetError(f'{path}: names: is missing; list the class names in label order')
    for index, name in enumerate(names):
        if not isinstance(name, (str, int, float)) or name in names[:index]:
            why = 'is there twice' if name in names[:index] else 'is no name'
            raise DatasetError(f'{path}: names: {str(name)[:40]!r} (label {index}) {why}')
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


def _split(
    path: Path, document: dict[str, Any], entry: object, result: AnnotatedSet
) -> list[AnnotatedPicture]:
    entries = entry if isinstance(entry, list) else [entry]
    found = [picture for one in entries for picture in _listed(path, document, str(one))]
    if not found:
        raise DatasetError(f'{path}: no picture in {", ".join(map(str, entries))}')
    folders = {label_file(image).parent for image in found}
    labels = (file for folder in folders for file in folder.glob('*.txt'))
    note_orphans((file for file in labels if file.name != 'classes.txt'), found, result.faults)
    pictures = []
    for image in found:
        picture = _picture(image, result)
        if picture is not None:
            pictures.append(picture)
    return pictures


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
    """Where the labels of a picture lie: the last ``images`` of the path becomes ``labels``."""
    parts = list(picture.with_suffix('.txt').parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == 'images':
            parts[index] = 'labels'
            break
    return Path(*parts)


def _picture(path: Path, result: AnnotatedSet) -> AnnotatedPicture | None:
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
            row = _row(line, place, result)
            if row is not None:
                scale = (notes.width, notes.height) * 2
                notes.add(row[0], [v * s for v, s in zip(row[1], scale, strict=True)], place)
    return notes.picture()


def _row(
    line: str, place: str, result: AnnotatedSet
) -> tuple[int, tuple[float, float, float, float]] | None:
    """Label and corners in fractions of the picture."""
    try:
        label, *values = [float(word) for word in line.split()]
    except ValueError:
        label, values = math.nan, []
    polygon = len(values) >= 6 and len(values) % 2 == 0
    whole = math.isfinite(label) and label == int(label)
    if not whole or not (len(values) == BOX_FIELDS - 1 or polygon):
        text = f'{quoted(line.strip())} is not "class cx cy width height", numbers with a point'
        result.faults.append(Fault('bad line', place, text))
        return None
    if not 0 <= label < len(result.classes):
        text = f'{label:.0f}, but there are {len(result.classes)} names'
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
