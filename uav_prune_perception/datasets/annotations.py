# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the pictures of a detection set lie and what is in them, before any pixel is read.

Every format (`yolo_txt`, `coco_json`, `voc_xml`, ...) is read into the same `AnnotatedSet`. What
is wrong with single pictures, lines or boxes is collected as `Fault`, not raised: training leaves
those out, ``uav-prune data check`` names every one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .detection_set import DatasetError, SplitName

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
ENCODING = 'utf-8-sig'  # of text files, with a byte order mark or without
EXIF_ORIENTATION = 0x0112
LYING = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
MIN_SIDE = 0.999  # pixels of the picture, less rounding: nothing can be seen in less
NAMES_SHOWN = 3
LOST = 'lost+found'  # of every disk, for root only

FaultKind = Literal[
    'broken picture', 'missing picture', 'no labels', 'wrong size', 'bad line', 'unknown class',
    'box outside', 'empty box', 'duplicate box', 'empty class', 'similar names',
    'duplicate picture', 'leaking split', 'not used',
]

# What a decoder of pictures may raise on damaged bytes.
PICTURE_ERRORS = (
    OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError
)


@dataclass(frozen=True)
class Fault:
    """Something wrong with the data: what, where (``file`` or ``file:line``), and in words."""

    kind: FaultKind
    place: str
    text: str

    def __str__(self) -> str:
        return printable(f'{self.place}: {self.kind}: {self.text}')


@dataclass(frozen=True)
class AnnotatedPicture:
    """One picture and what is in it.

    Attributes:
        path: of the picture.
        width: pixels, upright (after EXIF orientation).
        height: pixels.
        boxes: float32 [n, 4], corners x1, y1, x2, y2 in pixels, inside the picture.
        labels: int64 [n], index into the classes.
        ignore: float32 [m, 4]: regions in which nothing is learnt or judged.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.float32]


@dataclass
class AnnotatedSet:
    """A detection set on disk.

    Attributes:
        format: how it is written, such as ``yolo``.
        classes: names, in label order.
        splits: the pictures of each split that is there.
        faults: what was found wrong while reading.
    """

    format: str
    classes: tuple[str, ...]
    splits: dict[SplitName, list[AnnotatedPicture]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


@dataclass
class PictureNotes:
    """Collects the boxes of one picture and checks each against the picture's edges.

    ``turned``: its EXIF orientation exchanges width and height, and labels may say either.
    """

    path: Path
    width: int
    height: int
    faults: list[Fault]
    turned: bool = False
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ignored: list[tuple[float, float, float, float]] = field(default_factory=list)
    seen: set[tuple[int | None, tuple[float, ...]]] = field(default_factory=set)

    def compare_size(self, width: object, height: object, place: str) -> None:
        """Note where labels were made for a picture of another size; sizes may be missing."""
        said = [int(str(value)) for value in (width, height) if str(value).isdecimal()]
        own = [self.width, self.height]
        if len(said) < 2 or 0 in said or said == own or (self.turned and said == own[::-1]):
            return
        self.faults.append(Fault(
            'wrong size', place, f'says {said[0]}x{said[1]}, {self.path.name} is '
            f'{self.width}x{self.height}: its boxes may not fit',
        ))

    def add(self, label: int | None, corners: Sequence[float], place: str) -> None:
        """Note a box; None as label: a region to ignore. Clips what hangs over the edge."""
        x1, y1, x2, y2 = (float(value) for value in corners)
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            x1 = math.nan  # an infinite side is no side to clip
        inside = (
            min(max(x1, 0.0), self.width), min(max(y1, 0.0), self.height),
            min(max(x2, 0.0), self.width), min(max(y2, 0.0), self.height),
        )
        if not (inside[2] > inside[0] and inside[3] > inside[1]):  # also where a number is NaN
            shown = ', '.join(f'{value:g}' for value in (x1, y1, x2, y2))
            self.faults.append(Fault(
                'empty box', place,
                f'[{shown}] has no area in {self.width}x{self.height}; left out',
            ))
            return
        if min(inside[2] - inside[0], inside[3] - inside[1]) < MIN_SIDE:
            why = ': fractions, where pixels are wanted?' if max(inside) <= 1 else ''
            self.faults.append(Fault(
                'empty box', place, f'is less than a pixel wide or high{why}; left out'
            ))
            return
        if label is not None and (label, inside) in self.seen:
            self.faults.append(Fault('duplicate box', place, 'as an earlier one; left out'))
            return
        self.seen.add((label, inside))
        over = max(abs(a - b) for a, b in zip(inside, (x1, y1, x2, y2), strict=True))
        if over > 1.0:  # rounding in the file is not a fault
            self.faults.append(Fault(
                'box outside', place, f'{over:.0f} px over the edge of {self.path.name}; clipped'
            ))
        if label is None:
            self.ignored.append(inside)
        else:
            self.boxes.append(inside)
            self.labels.append(label)

    def picture(self) -> AnnotatedPicture:
        """What was noted."""
        return AnnotatedPicture(
            self.path, self.width, self.height,
            np.array(self.boxes, np.float32).reshape(-1, 4), np.array(self.labels, np.int64),
            np.array(self.ignored, np.float32).reshape(-1, 4),
        )


def open_notes(path: Path, faults: list[Fault]) -> PictureNotes | None:
    """Empty notes for a picture, its size read from its header; None (and a fault) without one."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(EXIF_ORIENTATION) in LYING
            if turned:
                width, height = height, width
            # The second picture of a JPEG in MPO form, as drones' cameras write it, is a preview
            pages = getattr(image, 'n_frames', 1) if image.format != 'MPO' else 1
            if pages > 1:
                text = f'has {pages} pages or frames; only the first is used'
                faults.append(Fault('not used', str(path), text))
    except FileNotFoundError:
        faults.append(Fault('missing picture', str(path), 'named by the labels, not there'))
        return None
    except PICTURE_ERRORS as error:
        faults.append(Fault('broken picture', str(path), ' '.join(str(error).split())[:120]))
        return None
    return PictureNotes(path, width, height, faults, turned)


def pictures_below(folder: Path) -> Iterator[Path]:
    """Every picture file in a folder and its sub-folders, links included, in order of name.

    Raises:
        DatasetError: one of the folders may not be looked into.
    """
    found: list[Path] = []
    for place, folders, names in walk(folder):
        found += [Path(place, name) for name in (*names, *folders) if is_picture(name)]
    yield from sorted(found)


def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, through links, each folder once.

    Raises:
        DatasetError: one of the folders may not be looked into.
    """
    seen: set[str] = set()
    start = os.path.realpath(folder)
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or start.startswith(real.rstrip(os.sep) + os.sep):  # a link back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith('.') and name != LOST]
        yield place, folders, names


def _refuse(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise DatasetError(
            f'{error.filename}: {error.strerror}; give this user the right to read it (chmod)'
        )


def files_with(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder by their suffix, which may be in capitals, in order of name.

    None where there is no such folder.
    """
    return sorted(path for path in folder.glob('*') if path.suffix.lower() == suffix)


def either_case(path: Path) -> Path:
    """A file, or where only that is there the one whose suffix is in capitals."""
    capital = path.with_suffix(path.suffix.upper())
    return capital if not path.is_file() and capital.is_file() else path


def is_picture(name: str) -> bool:
    """By the name of the file."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith('.')


def note_unused(pictures: Iterable[Path], why: str, faults: list[Fault]) -> None:
    """One fault for all pictures of a folder that nothing names, however many."""
    by_folder: dict[Path, list[str]] = {}
    for path in sorted(pictures):
        by_folder.setdefault(path.parent, []).append(path.name)
    for folder, names in by_folder.items():
        shown = ', '.join(names[:NAMES_SHOWN]) + (', ...' if len(names) > NAMES_SHOWN else '')
        count = f'{len(names)} picture{"s" if len(names) > 1 else ""}'
        faults.append(Fault('not used', str(folder), f'{count} {why}: {shown}'))


def bounds_of(points: Sequence[float]) -> tuple[float, float, float, float]:
    """The upright box around a polygon given as x1, y1, x2, y2, ...; NaN where one is."""
    if any(map(math.isnan, points)):
        return math.nan, math.nan, math.nan, math.nan
    xs, ys = points[0::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def quoted(line: str) -> str:
    """The beginning of a line for a message, what cannot be printed replaced."""
    return f'"{printable(line[:60])}"'


def printable(text: str) -> str:
    """A text as one line that every terminal takes."""
    return ''.join(c if c.isprintable() else '\N{REPLACEMENT CHARACTER}' for c in text)


def note_orphans(labels: Iterable[Path], pictures: Iterable[Path], faults: list[Fault]) -> None:
    """A fault for every label file that belongs to none of the pictures (by their stems)."""
    known = {picture.stem for picture in pictures}
    for path in sorted(labels):
        if path.stem not in known:
            faults.append(Fault('missing picture', str(path), 'labels of no picture; left out'))
