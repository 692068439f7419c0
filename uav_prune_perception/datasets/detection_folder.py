# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A detection set from the files of any known format."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.onboard.preprocess import Geometry

from .annotation_formats import read_annotations
from .annotations import AnnotatedPicture, AnnotatedSet
from .decoding import PAD, Part, decoded
from .detection_set import (
    SPLITS,
    DatasetError,
    DetectionSet,
    DetectionSplit,
    SplitName,
    split_limits,
    spread_evenly,
)
from .picture_store import PictureStore
from .tiling import Tile, cut_boxes, tiles_of

LOGGER = logging.getLogger(__name__)
FAULTS_SHOWN = 3
PIXELS = 1  # changes with what is made of a file's pixels
MIN_SIDE = 1.0  # pixels of the network's input; what is smaller can only be ignored


def detection_folder(
    root: str | Path,
    *,
    width: int,
    height: int,
    format: str = 'auto',
    channels: int = 3,
    classes: Sequence[str] | None = None,
    tile: int = 0,
    overlap: int = 0,
    val_fraction: float = 0.15,
    seed: int = 0,
    train_limit: int | None = None,
    eval_limit: int | None = None,
    broken: str = 'skip',
    cache: str | None = None,
) -> DetectionSet:
    """A set in YOLO, COCO, VOC, DOTA, VisDrone, HIT-UAV or NWPU VHR-10 layout.

    Pictures are letterboxed as the node does it. A set without a test split gives its val split
    for the test, and val is taken from train: what selects must not judge.

    Args:
        root: its folder, or a YOLO data.yaml.
        width: of the network's input.
        height: of the network's input.
        format: 'yolo', 'coco', 'voc', 'dota', 'visdrone', 'nwpu_vhr10' or 'auto'.
        channels: 3 (RGB) or 1 (grey).
        classes: learn only these, in this order; the others' boxes are left out.
        tile: cut pictures into tiles of this side, pixels; 0 takes them whole.
        overlap: pixels that neighbouring tiles share.
        val_fraction: share of train for val where the set has no test split or no val split.
        seed: decides that share.
        train_limit: use only so many training pictures (or tiles), spread evenly.
        eval_limit: the same for val and test.
        broken: 'skip' (logged) or 'refuse' what is wrong with single pictures or boxes.
        cache: folder where decoded pictures are kept for the next run, and mapped in place of
            loaded; None: they lie in memory, or where that is short in `default_folder`.

    Raises:
        DatasetError: not a set, an empty split, an unknown class, or (``refuse``) any fault.
    """
    if broken not in ('skip', 'refuse'):
        raise DatasetError(f"data.broken: must be 'skip' or 'refuse', not {broken!r}")
    if channels not in (1, 3) or width < 1 or height < 1:
        raise DatasetError(f'data: {width}x{height}x{channels} is no picture; channels is 1 or 3')
    limits = split_limits(train_limit, eval_limit)
    found = read_annotations(root, format)
    _tell(found, str(root), broken)
    names = _chosen_classes(found, classes, root)
    splits = _three_splits(found, root, val_fraction, seed)
    _check_boxes(splits, names, found.classes, root)
    try:
        every = {name: _parts(splits[name], tile, overlap) for name in SPLITS}
    except ValueError as error:
        raise DatasetError(f'data.tile: {error}') from None
    parts = {
        name: [every[name][i] for i in spread_evenly(len(every[name]), limits[name])]
        for name in SPLITS
    }
    spec = InputSpec(
        width=width, height=height, color='gray' if channels == 1 else 'rgb',
        mean=(0.5,) * channels, std=(0.25,) * channels, pad_value=PAD,
    )
    relabel = np.array([names.index(n) if n in names else -1 for n in found.classes], np.int64)

    digest = hashlib.sha256(repr((names, width, height, channels, broken)).encode())
    stores: dict[SplitName, PictureStore] = {}
    for name in SPLITS:
        digest.update(repr((name, [part for _, part in parts[name]])).encode())
        pictures = {picture.path: picture for picture, _ in parts[name]}
        number = {path: index for index, path in enumerate(pictures)}
        rows = [(number[picture.path], part) for picture, part in parts[name]]
        pixels = hashlib.sha256(repr((PIXELS, width, height, channels, broken, rows)).encode())
        for picture in pictures.values():
            _hash(digest, pixels, picture)
        folder = None if cache is None else Path(cache).expanduser()
        stores[name] = PictureStore(pixels.hexdigest()[:32], folder)
    # Worker processes are given this, not the pictures
    load = partial(
        _load, parts=parts, stores=stores, spec=spec, relabel=relabel, broken=broken
    )
    return DetectionSet(names, load, digest.hexdigest())


def _tell(found: AnnotatedSet, root: str, broken: str) -> None:
    if found.faults and broken == 'refuse':
        raise DatasetError(f'{found.faults[0]} ({len(found.faults)} faults; "uav-prune data check '
                           f'{root}" names all)')
    for fault in found.faults[:FAULTS_SHOWN]:
        LOGGER.warning('%s', fault)
    if len(found.faults) > FAULTS_SHOWN:
        more = len(found.faults) - FAULTS_SHOWN
        LOGGER.warning('and %d more faults; "uav-prune data check %s" names all', more, root)


def _chosen_classes(
    found: AnnotatedSet, classes: Sequence[str] | None, root: str | Path
) -> tuple[str, ...]:
    if classes is not None and (
        isinstance(classes, str) or not classes or len(set(classes)) < len(classes)
    ):
        raise DatasetError(
            f'data.classes: wants a list of names, each once, such as [car, person], not {classes}'
        )
    unknown = [name for name in classes or () if name not in found.classes]
    if unknown:
        raise DatasetError(
            f'data.classes: "{unknown[0]}" is not in {root}; there are {", ".join(found.classes)}'
        )
    return tuple(classes or found.classes)


def _three_splits(
    found: AnnotatedSet, root: str | Path, val_fraction: float, seed: int
) -> dict[SplitName, list[AnnotatedPicture]]:
    if not 0 < val_fraction < 1:
        raise DatasetError(f'data.val_fraction: must be between 0 and 1, not {val_fraction:g}')
    train, val, test = (list(found.splits.get(name, ())) for name in SPLITS)
    if not test:
        val, test = [], val
    rng = np.random.default_rng(seed)
    shared = []
    if not test:
        train, test = _share(train, val_fraction, rng)
        shared.append(f'test ({len(test)})')
    if not val:
        train, val = _share(train, val_fraction, rng)
        shared.append(f'val ({len(val)})')
    if shared:
        LOGGER.warning(
            '%s: %s drawn at random from its training pictures (%d are left; data.val_fraction): '
            'frames of one flight may lie on both sides, which flatters',
            root, ' and '.join(shared), len(train),
        )
    splits: dict[SplitName, list[AnnotatedPicture]] = {'train': train, 'val': val, 'test': test}
    for name, pictures in splits.items():
        if not pictures:
            raise DatasetError(f'{root}: split "{name}" is empty; add pictures')
    return splits


def _check_boxes(
    splits: dict[SplitName, list[AnnotatedPicture]], names: tuple[str, ...],
    known: tuple[str, ...], root: str | Path,
) -> None:
    """Nothing is learnt from train without a box, and nothing judged by val or test without.

    Raises:
        DatasetError: train has none.
    """
    wanted = [known.index(name) for name in names]
    for name in SPLITS:
        if any(np.isin(picture.labels, wanted).any() for picture in splits[name]):
            continue
        text = f'{root}: not one box of {", ".join(names[:6])} in {name}'
        if name == 'train':
            raise DatasetError(f'{text}; "uav-prune data check {root}" says where labels are '
                               'looked for')
        LOGGER.warning('%s: its accuracy means nothing', text)


def _share(
    pictures: list[AnnotatedPicture], fraction: float, rng: np.random.Generator
) -> tuple[list[AnnotatedPicture], list[AnnotatedPicture]]:
    count = min(max(1, round(fraction * len(pictures))), max(len(pictures) - 1, 0))
    taken = set(rng.permutation(len(pictures))[:count].tolist())
    rest = [picture for index, picture in enumerate(pictures) if index not in taken]
    return rest, [picture for index, picture in enumerate(pictures) if index in taken]


def _parts(pictures: list[AnnotatedPicture], tile: int, overlap: int) -> list[Part]:
    if tile == 0:
        return [(p, Tile(0, 0, p.width, p.height)) for p in pictures]
    return [(p, one) for p in pictures for one in tiles_of(p.width, p.height, tile, overlap)]


def _hash(digest: hashlib._Hash, pixels: hashlib._Hash, picture: AnnotatedPicture) -> None:
    """Feed a picture and its boxes to a hash, and the picture alone to another one."""
    for array in (picture.boxes, picture.labels, picture.ignore):
        digest.update(array.tobytes())
    try:
        content = picture.path.read_bytes()
    except OSError as error:
        raise DatasetError(f'{picture.path}: {error.strerror}') from None
    digest.update(content)
    pixels.update(content)


def _load(
    name: SplitName, *, parts: dict[SplitName, list[Part]], stores: dict[SplitName, PictureStore],
    spec: InputSpec, relabel: NDArray[np.int64], broken: str,
) -> DetectionSplit:
    own = parts[name]
    shape = (len(own), spec.height, spec.width, spec.channels)
    images, readable = stores[name].take(
        name, shape, partial(decoded, parts=own, spec=spec, refuse=broken == 'refuse')
    )
    if not readable.any():
        raise DatasetError(f'{own[0][0].path.parent}: not one picture can be read')
    found = [_boxes(*own[place], spec, relabel) for place in np.flatnonzero(readable)]
    boxes, labels, ignore = (list(each) for each in zip(*found, strict=True))
    return DetectionSplit(images, boxes, labels, ignore)


def _boxes(
    picture: AnnotatedPicture, part: Tile, spec: InputSpec, relabel: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Boxes, labels and regions to ignore, in pixels of the network's input."""
    corners, kinds, regions = cut_boxes(picture, part)
    kinds = relabel[kinds]
    geometry = Geometry.fit(part.right - part.left, part.bottom - part.top, spec)
    moved = geometry.to_input(corners[kinds >= 0]).astype(np.float32)
    small = (moved[:, 2:] - moved[:, :2]).min(axis=1, initial=np.inf) < MIN_SIDE
    others = geometry.to_input(regions).astype(np.float32)
    return moved[~small], kinds[kinds >= 0][~small], np.concatenate([others, moved[small]])
