# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a detection set: every broken picture, bad box, duplicate and leak."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .annotations import AnnotatedPicture, AnnotatedSet, Fault
from .decoding import decoding_pool, read_upright
from .detection_set import SPLITS, DatasetError

# Difference hash (N. Krawetz, 2013): 64 bits, brighter than the right neighbour or not. Pictures
# that differ in no more bits than this are shown as near copies (recompressed, rescaled).
HASH_SIDE = 8
NEAR_BITS = 2
FLAT_BITS = 6  # pictures with fewer set or unset bits are too plain to compare
SMALL, LARGE = 32.0**2, 96.0**2  # COCO's size classes, pixels


@dataclass(frozen=True)
class SplitSummary:
    """Counts of one split: pictures, without a box, boxes by class and by size, picture sizes."""

    name: str
    pictures: int
    empty: int
    boxes: dict[str, int]
    small: int
    medium: int
    large: int
    sizes: str


def check_pictures(
    found: AnnotatedSet, progress: Callable[[int], None] | None = None
) -> list[Fault]:
    """Decode every picture; name those that break, and those that are there twice.

    Args:
        found: the set.
        progress: told after each picture how many are done.

    Returns:
        Faults beyond those that reading the labels found (``found.faults``).
    """
    faults: list[Fault] = []
    exact: dict[str, list[tuple[str, AnnotatedPicture]]] = defaultdict(list)
    places: list[tuple[str, AnnotatedPicture]] = []
    hashes: list[NDArray[np.bool_]] = []
    every = [(split, picture) for split in SPLITS for picture in found.splits.get(split, ())]
    with decoding_pool() as pool:
        looks = pool.map(_look, [picture for _, picture in every])
        for done, (place, look) in enumerate(zip(every, looks, strict=True), 1):
            if isinstance(look, Fault):
                faults.append(look)
            else:
                exact[look[0]].append(place)
                places.append(place)
                hashes.append(look[1])
            if progress is not None:
                progress(done)
    for twins in exact.values():
        faults += [_copy(twins[0], twin, 'the same file as') for twin in twins[1:]]
    faults += _near_copies(places, hashes, exact)
    return faults + _similar_names(found) + _empty_classes(found)


def _look(picture: AnnotatedPicture) -> tuple[str, NDArray[np.bool_]] | Fault:
    """Digest of a picture's file, and its difference hash."""
    try:
        image = read_upright(picture.path, 1)
    except DatasetError as error:
        return Fault('broken picture', str(picture.path), str(error).partition(': ')[2])
    return hashlib.sha256(picture.path.read_bytes()).hexdigest(), _difference_hash(image)


def summarise(found: AnnotatedSet) -> list[SplitSummary]:
    """Counts of every split that is there."""
    rows = []
    for split in SPLITS:
        pictures = found.splits.get(split)
        if pictures is None:
            continue
        labels = np.concatenate([p.labels for p in pictures]) if pictures else np.zeros(0, int)
        counts = np.bincount(labels, minlength=len(found.classes))
        sides = [p.boxes[:, 2:] - p.boxes[:, :2] for p in pictures]
        area = np.concatenate([s.prod(axis=1) for s in sides]) if sides else np.zeros(0)
        rows.append(SplitSummary(
            split, len(pictures), sum(len(p.boxes) == 0 for p in pictures),
            dict(zip(found.classes, counts.tolist(), strict=True)),
            int((area < SMALL).sum()), int(((area >= SMALL) & (area < LARGE)).sum()),
            int((area >= LARGE).sum()), _sizes(pictures),
        ))
    return rows


def _sizes(pictures: list[AnnotatedPicture]) -> str:
    sizes = sorted({(p.width, p.height) for p in pictures})
    if not sizes:
        return '-'
    first, last = sizes[0], sizes[-1]
    shown = f'{first[0]}x{first[1]}'
    return shown if len(sizes) == 1 else f'{shown} to {last[0]}x{last[1]} ({len(sizes)} sizes)'


def _similar_names(found: AnnotatedSet) -> list[Fault]:
    """Classes that differ in case, spaces or dashes only, and are most likely one."""
    faults, known = [], dict[str, str]()
    for name in found.classes:
        first = known.setdefault(re.sub(r'[\s_-]+', '', name.casefold()), name)
        if first != name:
            text = f'"{first}" and "{name}" count as two; is it one class?'
            faults.append(Fault('similar names', 'classes', text))
    return faults


def _empty_classes(found: AnnotatedSet) -> list[Fault]:
    faults = []
    for row in summarise(found):
        for name, count in row.boxes.items():
            if count == 0:
                faults.append(Fault('empty class', row.name, f'no box of "{name}"'))
    return faults


def _difference_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    small = cv2.resize(image, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    values = small.reshape(HASH_SIDE, HASH_SIDE + 1).astype(np.int16)
    return np.asarray((values[:, 1:] > values[:, :-1]).reshape(-1))


def _near_copies(
    places: list[tuple[str, AnnotatedPicture]],
    hashes: list[NDArray[np.bool_]],
    exact: dict[str, list[tuple[str, AnnotatedPicture]]],
) -> list[Fault]:
    if len(hashes) < 2:
        return []
    twins = {id(picture) for group in exact.values() for _, picture in group[1:]}
    bits = np.stack(hashes)
    telling = np.minimum(bits.sum(axis=1), (~bits).sum(axis=1)) >= FLAT_BITS
    signs = bits.astype(np.float32) * 2 - 1
    faults = []
    for index in np.flatnonzero(telling):
        if id(places[index][1]) in twins:
            continue
        different = (bits.shape[1] - signs[:index] @ signs[index]) / 2
        near = np.flatnonzero((different <= NEAR_BITS) & telling[:index])
        if len(near):
            faults.append(_copy(places[near[0]], places[index], 'nearly the same view as'))
    return faults


def _copy(
    first: tuple[str, AnnotatedPicture], second: tuple[str, AnnotatedPicture], words: str
) -> Fault:
    place = str(second[1].path)
    if first[0] == second[0]:
        return Fault('duplicate picture', place, f'{words} {first[1].path}')
    text = f'in {second[0]}, {words} {first[1].path} in {first[0]}'
    return Fault('leaking split', place, text)
