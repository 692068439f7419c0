# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO json: one file per split with ``images``, ``annotations`` and ``categories``.

Also HIT-UAV's ``normal_json`` layout (Suo et al. 2023), which says ``annotation``, ``filename``;
boxes of a category called DontCare, and crowds, become regions to ignore.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .annotations import AnnotatedPicture, AnnotatedSet, Fault, PictureNotes, open_notes
from .detection_set import SPLITS, DatasetError, SplitName

IGNORED = ('dontcare', 'ignore', 'ignored', 'ignored regions')


def read_coco(root: Path) -> AnnotatedSet:
    """Read a set.

    Args:
        root: folder with ``annotations/*train*.json`` (``*val*``, ``*test*``) and the pictures in
            ``train/``, ``train2017/``, ``images/train/``, ``images/`` or beside them; or with
            ``train/_annotations.coco.json`` as exported by labelling services.

    Raises:
        DatasetError: no such files, or one is not COCO json.
    """
    files = find_json(root)
    if 'train' not in files:
        raise DatasetError(f'{root}: no annotations/*train*.json and no train/*.json in it')
    documents = {split: _document(path) for split, path in files.items()}
    names = _classes(documents['train'], files['train'])
    result = AnnotatedSet('coco', tuple(dict.fromkeys(names.values())))
    for split, document in documents.items():
        result.splits[split] = _split(root, split, files[split], document, result)
    return result


def find_json(root: Path) -> dict[SplitName, Path]:
    """The annotation file of each split that has one."""
    found: dict[SplitName, Path] = {}
    for split in SPLITS:
        places = [root / split, root / ('valid' if split == 'val' else split)]
        candidates = [
            *sorted((root / 'annotations').glob(f'*{split}*.json')),
            *sorted(root.glob(f'*{split}*.json')),
            *(path for place in places for path in sorted(place.glob('*.json'))),
        ]
        chosen = [path for path in candidates if 'keypoints' not in path.name
                  and 'captions' not in path.name]
        if chosen:
            found[split] = chosen[0]
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from None
    annotations = 'annotations' if 'annotations' in document else 'annotation'
    categories = 'categories' if 'categories' in document else 'category'
    if not isinstance(document, dict) or not {'images', annotations, categories} <= set(document):
        raise DatasetError(f'{path}: is not COCO json (images, annotations, categories)')
    return {
        'images': document['images'], 'annotations': document[annotations],
        'categories': document[categories],
    }


def _classes(document: dict[str, Any], path: Path) -> dict[int, str]:
    """Class names by category id; those to ignore are left out."""
    try:
        rows = sorted((int(row['id']), str(row['name'])) for row in document['categories'])
    except (KeyError, TypeError, ValueError):
        raise DatasetError(f'{path}: categories: each needs id and name') from None
    names = {key: name for key, name in rows if name.lower() not in IGNORED}
    if not names:
        raise DatasetError(f'{path}: categories: is empty')
    return names


def _split(
    root: Path, split: SplitName, path: Path, document: dict[str, Any], result: AnnotatedSet
) -> list[AnnotatedPicture]:
    names = {int(row['id']): str(row['name']) for row in document['categories']}
    folders = _folders(root, split, path)
    notes: dict[Any, PictureNotes | None] = {}
    for row in document['images']:
        name = str(row.get('file_name') or row.get('filename') or '')
        notes[row.get('id')] = open_notes(_place(folders, name), result.faults)
    for row in document['annotations']:
        where = f'{path}: annotation {row.get("id", "?")}'
        if row.get('image_id') not in notes:
            text = f'image_id {row.get("image_id")} is not among the images'
            result.faults.append(Fault('missing picture', where, text))
            continue
        picture = notes[row['image_id']]
        if picture is not None:
            _add(picture, row, names, where, result)
    return [picture.picture() for picture in notes.values() if picture is not None]


def _add(
    picture: PictureNotes, row: dict[str, Any], names: dict[int, str], where: str,
    result: AnnotatedSet,
) -> None:
    try:
        x, y, width, height = (float(value) for value in row['bbox'][:4])
    except (KeyError, TypeError, ValueError):
        result.faults.append(Fault('bad line', where, 'bbox is not [x, y, width, height]'))
        return
    corners = (x, y, x + width, y + height)
    name = names.get(row.get('category_id', -1), '')
    if row.get('iscrowd') or name.lower() in IGNORED:
        picture.add(None, corners, where)
    elif name in result.classes:
        picture.add(result.classes.index(name), corners, where)
    else:
        text = f'category_id {row.get("category_id")} is not among the classes of train'
        result.faults.append(Fault('unknown class', where, text))


def _folders(root: Path, split: SplitName, path: Path) -> list[Path]:
    words = [split, f'{split}2017', f'{split}2014', 'valid' if split == 'val' else split]
    places = [root / word for word in words] + [root / 'images' / word for word in words]
    return [place for place in [*places, root / 'images', path.parent, root] if place.is_dir()]


def _place(folders: list[Path], name: str) -> Path:
    """Where a picture lies; in the first folder when it is nowhere."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    return folders[0] / name
