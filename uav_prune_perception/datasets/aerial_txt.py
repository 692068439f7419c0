# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The three aerial sets that bring a txt file per picture: DOTA, VisDrone, NWPU VHR-10."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .annotations import (
    ENCODING,
    AnnotatedPicture,
    AnnotatedSet,
    Fault,
    PictureNotes,
    bounds_of,
    either_case,
    files_with,
    note_orphans,
    open_notes,
    pictures_below,
    quoted,
)
from .detection_set import SPLITS, DatasetError, SplitName

VISDRONE = (
    'pedestrian', 'people', 'bicycle', 'car', 'van', 'truck', 'tricycle', 'awning-tricycle',
    'bus', 'motor',
)
VHR10 = (
    'airplane', 'ship', 'storage tank', 'baseball diamond', 'tennis court', 'basketball court',
    'ground track field', 'harbor', 'bridge', 'vehicle',
)
VHR10_POSITIVE = 'positive image set'
# METHODS.md 2.6: the paper's split is unknown; 60/20/20 of the pictures with objects, fixed.
VHR10_SHARES, VHR10_SEED = (0.6, 0.2, 0.2), 0
NUMBERS = re.compile(r'-?\d+(?:\.\d+)?')
NUMBERS_WANTED = 'numbers where they belong, with a point before decimals'


@dataclass(frozen=True)
class Line:
    """A line of a label file: a class name (None: ignore the region) and corners in pixels."""

    name: str | None
    corners: tuple[float, float, float, float]


class LineError(ValueError):
    """The line is not of the format."""


def read_dota(root: Path) -> AnnotatedSet:
    """DOTA (Xia et al. 2018): ``{train,val,test}/{images,labelTxt}/``, oriented boxes.

    A line is ``x1 y1 x2 y2 x3 y3 x4 y4 name difficult``; the upright box around the corners
    counts, difficult objects are ignored. Classes: all names that occur, in order of the alphabet.

    Raises:
        DatasetError: the layout is not DOTA's.
    """
    folders = {split: root / split for split in SPLITS if (root / split / 'images').is_dir()}
    labels = {
        split: next((p for p in (folder / 'labelTxt', folder / 'labels') if p.is_dir()), None)
        for split, folder in folders.items()
    }
    labelled = {split: folder for split, folder in labels.items() if folder is not None}
    if 'train' not in labelled:
        raise DatasetError(f'{root}: no train/images/ and train/labelTxt/ in it')
    names = sorted({
        line.name
        for folder in labelled.values() for file in files_with(folder, '.txt')
        for line in _good_lines(file, dota_line) if line.name is not None
    })
    if not names:
        raise DatasetError(f'{labelled["train"]}: no object in any file{_first_bad(labelled)}')
    result = AnnotatedSet('dota', tuple(names))
    for split, folder in labelled.items():
        result.splits[split] = _pictures(folders[split] / 'images', folder, dota_line, result)
    return result


def _first_bad(folders: dict[SplitName, Path]) -> str:
    """Why there is no object, by the first line that is none."""
    for file in (file for folder in folders.values() for file in files_with(folder, '.txt')):
        result = AnnotatedSet('dota', ())
        for place, text in _lines(file):
            if _parsed(text, place, dota_line, result) is not None:
                return ', all are difficult'
            if result.faults:
                return f'; {result.faults[0]}'
    return ''


def dota_line(line: str) -> Line | None:
    """One line of labelTxt; None for the two header lines."""
    if line.startswith(('imagesource:', 'gsd:')):
        return None
    words = line.split()
    if len(words) not in (9, 10):
        raise LineError('x1 y1 x2 y2 x3 y3 x4 y4 name [difficult]')
    points = [float(word) for word in words[:8]]
    difficult = len(words) == 10 and int(words[9]) > 0
    return Line(None if difficult else words[8], bounds_of(points))


def read_visdrone(root: Path) -> AnnotatedSet:
    """VisDrone-DET (Zhu et al. 2021): folders ``*train*``, ``*val*``, ``*test-dev*``.

    A line is ``x,y,width,height,score,category,truncation,occlusion``; category 0 (ignored
    regions) and 11 (others) are ignored in learning and judging.

    Raises:
        DatasetError: the layout is not VisDrone's.
    """
    found: dict[SplitName, Path] = {}
    for split in SPLITS:
        for folder in sorted(root.glob(f'*{split}*')):
            if (folder / 'annotations').is_dir() and (folder / 'images').is_dir():
                found.setdefault(split, folder)
    if 'train' not in found:
        raise DatasetError(f'{root}: no *train*/images/ and *train*/annotations/ in it')
    result = AnnotatedSet('visdrone', VISDRONE)
    for split, folder in found.items():
        result.splits[split] = _pictures(
            folder / 'images', folder / 'annotations', visdrone_line, result
        )
    return result


def visdrone_line(line: str) -> Line | None:
    """One line of VisDrone's annotations."""
    words = line.rstrip(' ,').split(',')  # some lines end in a comma
    if len(words) < 6:
        raise LineError('x,y,width,height,score,category,truncation,occlusion')
    x, y, width, height = (float(word) for word in words[:4])
    category, score = int(words[5]), float(words[4])
    if math.isnan(score):
        raise LineError('a score')
    if not 0 <= category <= len(VISDRONE) + 1:
        raise LineError(f'category 0 to {len(VISDRONE) + 1}')
    ignored = category in (0, len(VISDRONE) + 1) or score == 0
    name = None if ignored else VISDRONE[category - 1]
    return Line(name, (x, y, x + width, y + height))


def read_nwpu_vhr10(root: Path) -> AnnotatedSet:
    """NWPU VHR-10 (Cheng et al. 2014): ``positive image set/``, ``ground truth/``.

    A line is ``(x1,y1),(x2,y2),class`` with classes from 1. The set has no split of its own:
    60/20/20 of the pictures with objects, by a fixed seed.

    Raises:
        DatasetError: the layout is not VHR-10's.
    """
    pictures, labels = root / VHR10_POSITIVE, root / 'ground truth'
    if not pictures.is_dir() or not labels.is_dir():
        raise DatasetError(f'{root}: no "{VHR10_POSITIVE}" and "ground truth" in it')
    result = AnnotatedSet('nwpu_vhr10', VHR10)
    found = _pictures(pictures, labels, vhr10_line, result)
    order = np.random.default_rng(VHR10_SEED).permutation(len(found))
    edges = np.round(np.cumsum((0.0, *VHR10_SHARES)) * len(found)).astype(int)
    for index, split in enumerate(SPLITS):
        chosen = sorted(order[edges[index]:edges[index + 1]])
        result.splits[split] = [found[i] for i in chosen]
    return result


def vhr10_line(line: str) -> Line | None:
    """One line of VHR-10's ground truth."""
    numbers = [float(word) for word in NUMBERS.findall(line)]
    if len(numbers) != 5 or numbers[4] not in range(1, len(VHR10) + 1):
        raise LineError(f'(x1,y1),(x2,y2),class with a class from 1 to {len(VHR10)}')
    x1, y1, x2, y2, label = numbers
    return Line(VHR10[int(label) - 1], (x1, y1, x2, y2))


def _pictures(
    pictures: Path, labels: Path, parse: Callable[[str], Line | None], result: AnnotatedSet
) -> list[AnnotatedPicture]:
    found, there = [], list(pictures_below(pictures))
    note_orphans(files_with(labels, '.txt'), there, result.faults)
    for path in there:
        notes = open_notes(path, result.faults)
        file = either_case(labels / f'{path.stem}.txt')
        if notes is None:
            continue
        if not file.is_file():
            result.faults.append(Fault('no labels', str(path), f'no {file.name}; left out'))
            continue
        _read_lines(file, parse, notes, result)
        found.append(notes.picture())
    if not found:
        raise DatasetError(f'{pictures}: no picture with labels in {labels}')
    return found


def _read_lines(
    file: Path, parse: Callable[[str], Line | None], notes: PictureNotes, result: AnnotatedSet
) -> None:
    for place, text in _lines(file):
        line = _parsed(text, place, parse, result)
        if line is not None:
            notes.add(None if line.name is None else result.classes.index(line.name),
                      line.corners, place)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Place and text of every line that is not blank."""
    for number, text in enumerate(file.read_text(ENCODING, errors='replace').split('\n'), 1):
        if text.strip():
            yield f'{file}:{number}', text.strip()


def _parsed(
    text: str, place: str, parse: Callable[[str], Line | None], result: AnnotatedSet
) -> Line | None:
    try:
        return parse(text)
    except ValueError as error:
        wanted = str(error) if isinstance(error, LineError) else NUMBERS_WANTED
        result.faults.append(Fault('bad line', place, f'{quoted(text)}, wanted {wanted}'))
        return None


def _good_lines(file: Path, parse: Callable[[str], Line | None]) -> list[Line]:
    unread = AnnotatedSet('', ())  # its faults are named when the picture is read
    found = (_parsed(text, place, parse, unread) for place, text in _lines(file))
    return [line for line in found if line is not None]
