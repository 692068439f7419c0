# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO json: one file per split with ``images``, ``annotations`` and ``categories``.

Also HIT-UAV's ``normal_json`` layout (Suo et al. 2023), which says ``annotation``, ``filename``;
boxes of a category called DontCare, and crowds, become regions to ignore.
"""

from __future__ import annotations

import json
from os import listdir
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Any

from .annotations import (
    ENCODING,
    AnnotatedPicture,
    AnnotatedSet,
    Fault,
    PictureNotes,
    bounds_of,
    is_picture,
    note_unused,
    open_notes,
)
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
        for other in _candidates(root, split)[1:]:
            text = f'{split} is read from {files[split].name}; keep one of them'
            result.faults.append(Fault('not used', str(other), text))
        result.splits[split] = _split(root, split, files[split], document, result)
    _note_unused(result)
    return result


def _note_unused(result: AnnotatedSet) -> None:
    """Pictures beside those that are named, which no file names."""
    named = [picture.path for split in result.splits.values() for picture in split]
    known = {normpath(path) for path in [*map(str, named), *(f.place for f in result.faults)]}
    folders = {Path(normpath(path.parent)) for path in named}
    there = (folder / name for folder in folders for name in listdir(folder) if is_picture(name))
    note_unused((path for path in there if str(path) not in known), 'in no json', result.faults)


def find_json(root: Path) -> dict[SplitName, Path]:
    """The annotation file of each split that has one."""
    candidates = {split: _candidates(root, split) for split in SPLITS}
    return {split: paths[0] for split, paths in candidates.items() if paths}


def _candidates(root: Path, split: SplitName) -> list[Path]:
    """Files that may be meant, COCO's own names first."""
    places = [root / split, root / ('valid' if split == 'val' else split)]
    found = [
        *sorted((root / 'annotations').glob(f'*{split}*.json')),
        *sorted(root.glob(f'*{split}*.json')),
        *(path for place in places for path in sorted(place.glob('*.json'))),
    ]
    found = [path for path in dict.fromkeys(found)
             if 'keypoints' not in path.name and 'captions' not in path.name]
    return sorted(found, key=lambda path: not path.name.startswith('instances_'))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding=ENCODING))
    except (OSError, ValueError, RecursionError) as error:
        why = 'it is empty' if path.is_file() and not path.stat().st_size else error
        raise DatasetError(f'{path}: cannot be read: {why}') from None
    if not isinstance(document, dict):
        document = {}
    annotations = 'annotations' if 'annotations' in document else 'annotation'
    categories = 'categories' if 'categories' in document else 'category'
    parts = [document.get(key) for key in ('images', annotations, categories)]
    if not all(isinstance(part, list) for part in parts):
        raise DatasetError(
            f'{path}: is not COCO json (lists of images, annotations, categories)'
        )
    return dict(zip(('images', 'annotations', 'categories'), parts, strict=True))


def _names(document: dict[str, Any], path: Path) -> dict[int, str]:
    """Every category's name by its id, in order of the ids."""
    try:
        rows = sorted((int(row['id']), str(row['name'])) for row in document['categories'])
    except (KeyError, TypeError, ValueError):
        raise DatasetError(f'{path}: categories: each needs a whole id and a name') from None
    for (key, name), (after, _) in zip(rows, [*rows[1:], (None, '')], strict=True):
        if not name.strip() or key == after:
            raise DatasetError(
                f'{path}: categories: id {key} ' + ('is there twice' if name.strip() else
                                                    'has no name')
            )
    return dict(rows)


def _classes(document: dict[str, Any], path: Path) -> dict[int, str]:
    """Class names by category id; those to ignore are left out."""
    rows = _names(document, path)
    names = {key: name for key, name in rows.items() if name.lower() not in IGNORED}
    if not names:
        raise DatasetError(f'{path}: categories: is empty')
    return names


def _split(
    root: Path, split: SplitName, path: Path, document: dict[str, Any], result: AnnotatedSet
) -> list[AnnotatedPicture]:
    names = {str(key): name for key, name in _names(document, path).items()}
    folders = _folders(root, split, path)
    notes: dict[str, PictureNotes | None] = {}
    for number, row in enumerate(document['images'], 1):
        where = f'{path}: image {_id(row, "id") or f"number {number}"}'
        name = row.get('file_name') or row.get('filename') if isinstance(row, dict) else None
        key = _id(row, 'id')
        if key is None or not isinstance(name, str):
            result.faults.append(Fault('bad line', where, 'needs an id and a file_name; left out'))
            continue
        if key in notes:
            result.faults.append(Fault('bad line', where, 'its id is there before; left out'))
            continue
        notes[key] = found = open_notes(_place(folders, name), result.faults)
        if found is not None:
            found.compare_size(row.get('width'), row.get('height'), where)
    for number, row in enumerate(document['annotations'], 1):
        where = f'{path}: annotation {_id(row, "id") or f"number {number}"}'
        if not isinstance(row, dict):
            result.faults.append(Fault('bad line', where, 'is not {id, image_id, bbox, ...}'))
            continue
        key = _id(row, 'image_id')
        if key not in notes:
            text = f'image_id {row.get("image_id")} is not among the images'
            result.faults.append(Fault('missing picture', where, text))
            continue
        picture = notes[key]
        if picture is not None:
            _add(picture, row, names, where, result)
    return [picture.picture() for picture in notes.values() if picture is not None]


def _id(row: Any, word: str) -> str | None:
    """An id as text: some files have numbers in one place and texts in another."""
    value = row.get(word) if isinstance(row, dict) else None
    return str(value) if isinstance(value, (int, str)) else None


def _corners(row: dict[str, Any]) -> tuple[float, float, float, float]:
    """Of the bbox, or else around the polygons or the mask.

    Raises:
        TypeError, ValueError: there is none of them.
    """
    shape = row.get('segmentation')
    if not row.get('bbox') and isinstance(shape, list):
        return bounds_of([float(value) for ring in shape for value in ring])
    if not row.get('bbox') and isinstance(shape, dict):
        return _around_mask(shape)
    if not isinstance(row.get('bbox'), list):
        raise TypeError
    x, y, width, height = (float(value) for value in row['bbox'][:4])
    return x, y, x + width, y + height


def _around_mask(shape: dict[str, Any]) -> tuple[float, float, float, float]:
    """Of run lengths, as COCO has them for crowds: a list of numbers, or packed into text.

    Raises:
        TypeError, ValueError: it is no mask.
    """
    from faster_coco_eval.core import mask  # not for sets without masks: it takes a while

    size, counts = shape.get('size'), shape.get('counts')
    if not isinstance(size, list):
        raise TypeError
    height, width = (int(value) for value in size)
    if isinstance(counts, list):
        lengths = [int(value) for value in counts]
        if min(lengths, default=0) < 0 or sum(lengths) != height * width:
            raise ValueError
        packed = mask.frPyObjects({'size': [height, width], 'counts': lengths}, height, width)
    elif isinstance(counts, str):
        packed = {'size': [height, width], 'counts': counts}
    else:
        raise TypeError
    try:
        x, y, wide, high = (float(value) for value in mask.toBbox(packed))
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return x, y, x + wide, y + high


def _add(
    picture: PictureNotes, row: dict[str, Any], names: dict[str, str], where: str,
    result: AnnotatedSet,
) -> None:
    try:
        corners = _corners(row)
    except (TypeError, ValueError):
        text = 'bbox is not [x, y, width, height], and there is no polygon or mask; left out'
        result.faults.append(Fault('bad line', where, text))
        return
    name = names.get(_id(row, 'category_id') or '', '')
    if row.get('iscrowd') or name.lower() in IGNORED:
        picture.add(None, corners, where)
    elif name in result.classes:
        picture.add(result.classes.index(name), corners, where)
    else:
        called = f' ("{name}")' if name else ''
        text = f'category_id {row.get("category_id")}{called} is not among the classes of train'
        result.faults.append(Fault('unknown class', where, text))


def _folders(root: Path, split: SplitName, path: Path) -> list[Path]:
    words = [split, f'{split}2017', f'{split}2014', 'valid' if split == 'val' else split]
    places = [root / word for word in words] + [root / 'images' / word for word in words]
    return [place for place in [*places, root / 'images', path.parent, root] if place.is_dir()]


def _place(folders: list[Path], name: str) -> Path:
    """Where a picture lies; in the first folder when it is nowhere.

    Names may hold the folders of another machine, or those of Windows: the longest end of the
    path that is there counts.
    """
    parts = PurePosixPath(name if '/' in name else name.replace('\\', '/')).parts
    for first in range(max(len(parts), 1)):
        for folder in folders:
            place = folder.joinpath(*parts[first:])
            if place.is_file():
                return place
    return folders[0] / name
