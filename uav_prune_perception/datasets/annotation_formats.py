# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which reader reads a folder: by name, or by looking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .aerial_txt import VHR10_POSITIVE, read_dota, read_nwpu_vhr10, read_visdrone
from .annotations import AnnotatedSet, walk
from .coco_json import find_json, read_coco
from .detection_set import DatasetError
from .voc_xml import read_voc
from .yolo_txt import read_yolo

FORMATS: dict[str, Callable[[Path], AnnotatedSet]] = {
    'yolo': read_yolo,
    'coco': read_coco,
    'voc': read_voc,
    'dota': read_dota,
    'visdrone': read_visdrone,
    'nwpu_vhr10': read_nwpu_vhr10,
}


def _looks_like_visdrone(path: Path) -> bool:
    return any(
        (folder / 'annotations').is_dir() and (folder / 'images').is_dir()
        for folder in path.glob('*train*')
    )


def _looks_like_yolo(path: Path) -> bool:
    return path.suffix in ('.yaml', '.yml') if path.is_file() else any(path.glob('*.y*ml'))


# Looked at in this order: a YOLO file beside the labels of another format is often an extra.
SIGNS: dict[str, Callable[[Path], bool]] = {
    'nwpu_vhr10': lambda path: (path / VHR10_POSITIVE).is_dir(),
    'voc': lambda path: (path / 'Annotations').is_dir(),
    'dota': lambda path: (path / 'train' / 'labelTxt').is_dir(),
    'visdrone': _looks_like_visdrone,
    'coco': lambda path: bool(find_json(path)),
    'yolo': _looks_like_yolo,
}


def read_annotations(root: str | Path, form: str = 'auto') -> AnnotatedSet:
    """Read a detection set of any known format.

    Args:
        root: its folder (for YOLO also its data.yaml).
        form: a key of `FORMATS`, or 'auto'.

    Raises:
        DatasetError: no such folder, it may not be read, or it is of no known format.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise DatasetError(f'{path}: no such folder')
    for _ in walk(path):
        pass  # a folder that may not be read would look like an empty one
    chosen = recognise(path) if form == 'auto' else form
    if chosen not in FORMATS:
        raise DatasetError(f'format "{form}" is unknown; there are {", ".join(FORMATS)}')
    return FORMATS[chosen](path)


def recognise(path: Path) -> str:
    """The format of a folder, by its layout.

    Raises:
        DatasetError: none fits.
    """
    for form, fits in SIGNS.items():
        if fits(path):
            return form
    raise DatasetError(
        f'{path}: of no known format; wanted one of: data.yaml (yolo), annotations/*train*.json '
        '(coco), Annotations/*.xml (voc), train/labelTxt/ (dota), *train*/annotations/ '
        f'(visdrone), "{VHR10_POSITIVE}" (nwpu_vhr10); class folders '
        '(kind image_folder) hold no boxes and are checked as a job reads them'
    )
