# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Overlapping tiles of a large picture, and the objects found in them put together again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ladder import InputSpec
from .nms import nms, shared_areas
from .results import Detections

# A box that ends this near to an inner edge of its tile was cut off there, most likely.
EDGE_PX, EDGE_SHARE = 2.0, 0.01  # pixels; of the tile's side
# More would take seconds, on any engine, and a tile of a pixel all memory.
MOST_TILES = 512
# A cut-off box goes when so much of it lies in a whole one of its class.
CUT_INSIDE = 0.6


@dataclass(frozen=True)
class Tile:
    """Part of a picture: left, top, right, bottom in pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut before the engine sees them.

    Attributes:
        width: of a tile, in pixels of the picture; its height is such that a tile has the shape
            of the network's input.
        overlap: share of a tile that neighbours have in common at least, 0..0.9. An object
            smaller than this is whole in one of them.
        whole: the whole picture is looked at as well, for the large objects: what is smaller than
            the overlap is whole in a tile, and better seen there.
    """

    width: int
    overlap: float = 0.2
    whole: bool = True

    def __post_init__(self) -> None:
        """Check the ranges. Raises ValueError."""
        if self.width < 1:
            raise ValueError(f'tile width is {self.width}, must be at least 1')
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f'tile overlap is {self.overlap}, must be 0..0.9')

    def views(self, width: int, height: int, spec: InputSpec) -> list[Tile]:
        """What the engine sees of a picture of this size, one after the other.

        Raises:
            ValueError: more than `MOST_TILES`, or an overlap that leaves nothing of a tile.
        """
        tile, shared = self._tile(spec), self._shared(spec)
        sides = zip((width, height), tile, shared, strict=True)
        count = math.prod(len(_starts(*side)) for side in sides)
        if count > MOST_TILES:
            raise ValueError(
                f'a picture of {width} x {height} has {count} tiles of {self.width} px with '
                f'overlap {self.overlap:g}, more than {MOST_TILES}: make the tiles larger'
            )
        tiles = tile_grid(width, height, tile, shared)
        whole = [Tile(0, 0, width, height)] if self.whole and len(tiles) > 1 else []
        return whole + tiles

    def together(
        self, found: Sequence[Detections], size: tuple[int, int], spec: InputSpec, **rules: Any
    ) -> Detections:
        """The objects of a picture from what was found in its views; see `merged`."""
        found, tiles = list(found), self.views(*size, spec)
        if self.whole and len(tiles) > 1:
            boxes = found[0].boxes
            large = (boxes[:, 2:] - boxes[:, :2] > self._shared(spec)).any(axis=1)
            found[0] = Detections(
                boxes[large], found[0].scores[large], found[0].class_ids[large])
        return merged(found, tiles, size, **rules)

    def _tile(self, spec: InputSpec) -> tuple[int, int]:
        return self.width, max(1, round(self.width * spec.height / spec.width))

    def _shared(self, spec: InputSpec) -> tuple[int, int]:
        width, height = self._tile(spec)
        return int(self.overlap * width), int(self.overlap * height)


def tile_grid(
    width: int, height: int, tile: tuple[int, int], overlap: tuple[int, int]
) -> list[Tile]:
    """Tiles that cover a picture; the last of a row ends at the edge instead of beyond it.

    Args:
        width: of the picture.
        height: of the picture.
        tile: width and height of a tile, pixels; a smaller picture is one tile.
        overlap: pixels that neighbours in a row, and in a column, share at least.

    Raises:
        ValueError: the overlap is not smaller than the tile.
    """
    for side, shared in zip(tile, overlap, strict=True):
        if not 0 <= shared < side:
            raise ValueError(f'overlap must be from 0 to below the tile ({side}), not {shared}')
    return [
        Tile(left, top, min(left + tile[0], width), min(top + tile[1], height))
        for top in _starts(height, tile[1], overlap[1])
        for left in _starts(width, tile[0], overlap[0])
    ]


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [min(i * (tile - overlap), length - tile) for i in range(count)]


def merged(
    found: Sequence[Detections],
    tiles: Sequence[Tile],
    size: tuple[int, int],
    *,
    iou_threshold: float,
    class_aware: bool,
    max_detections: int,
) -> Detections:
    """The objects of a picture from what was found in its tiles.

    Boxes that are whole compete by plain non-maximum suppression. What a tile's inner edge has
    cut off goes where it lies in a whole box: a part and the whole overlap too little for plain
    suppression, and a part may well have the better score. Parts that no tile has whole compete
    among themselves.

    Args:
        found: in each tile, boxes in pixels of the tile.
        tiles: where they are in the picture.
        size: width and height of the picture.
        iou_threshold: see `nms`.
        class_aware: boxes compete within their class only.
        max_detections: at most so many.
    """
    offsets = [np.array([tile.left, tile.top] * 2, np.float32) for tile in tiles]
    boxes = np.concatenate([
        part.boxes + offset for part, offset in zip(found, offsets, strict=True)
    ])
    scores = np.concatenate([part.scores for part in found])
    labels = np.concatenate([part.class_ids for part in found])
    cut = np.concatenate([
        _cut_off(part.boxes, tile, size) for part, tile in zip(found, tiles, strict=True)
    ])

    def best_of(some: np.ndarray) -> np.ndarray:
        classes = labels[some] if class_aware else None
        return some[nms(boxes[some], scores[some], iou_threshold, classes, max_detections)]

    kept = best_of(np.flatnonzero(~cut))
    parts = np.flatnonzero(cut)
    inside = _shares(boxes[parts], boxes[kept]) >= CUT_INSIDE
    if class_aware:
        inside &= labels[parts][:, None] == labels[kept][None, :]
    kept = np.concatenate([kept, best_of(parts[~inside.any(axis=1)])])
    kept = kept[np.argsort(-scores[kept], kind='stable')[:max_detections]]
    return Detections(boxes[kept], scores[kept], labels[kept])


def _cut_off(boxes: np.ndarray, tile: Tile, size: tuple[int, int]) -> np.ndarray:
    """Bool [n]: touches an edge of the tile that is none of the picture."""
    width, height = tile.right - tile.left, tile.bottom - tile.top
    near_x, near_y = max(EDGE_PX, EDGE_SHARE * width), max(EDGE_PX, EDGE_SHARE * height)
    at_edge = np.stack([
        boxes[:, 0] <= near_x, boxes[:, 1] <= near_y,
        boxes[:, 2] >= width - near_x, boxes[:, 3] >= height - near_y,
    ], axis=1)
    inner = [tile.left > 0, tile.top > 0, tile.right < size[0], tile.bottom < size[1]]
    return np.asarray((at_edge & inner).any(axis=1))


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """[n, m]: how much of each part lies in each whole box, 0..1."""
    areas = np.maximum((parts[:, 2] - parts[:, 0]) * (parts[:, 3] - parts[:, 1]), 1e-9)
    return shared_areas(parts, wholes) / areas[:, None]
