# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut large pictures into overlapping tiles, boxes included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.onboard.tiles import Tile, tile_grid

from .annotations import AnnotatedPicture

# Of a box cut by a tile's edge at least this share must be inside to be learnt as an object; a
# smaller rest is ignored there (the neighbour that overlaps has it whole).  DOTA's own tool: 0.7.
MIN_INSIDE = 0.7


def tiles_of(width: int, height: int, tile: int, overlap: int) -> list[Tile]:
    """Square tiles that cover a picture; see `tile_grid`."""
    return tile_grid(width, height, (tile, tile), (overlap, overlap))


def cut_boxes(
    picture: AnnotatedPicture, tile: Tile
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """What a tile holds, in its own pixels: boxes [n, 4], labels [n], regions to ignore [m, 4]."""
    inside, share = _clipped(picture.boxes, tile)
    whole, cut = share >= MIN_INSIDE, (share > 0) & (share < MIN_INSIDE)
    ignored, ignored_share = _clipped(picture.ignore, tile)
    ignore = np.concatenate([ignored[ignored_share > 0], inside[cut]])
    return inside[whole], picture.labels[whole], ignore


def _clipped(
    boxes: NDArray[np.float32], tile: Tile
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    edges = np.array([tile.left, tile.top, tile.right, tile.bottom], np.float32)
    low, high = np.tile(edges[:2], 2), np.tile(edges[2:], 2)
    inside = np.clip(boxes, low, high)
    sides = np.maximum(inside[:, 2:] - inside[:, :2], 0).astype(np.float64)
    full = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    share = sides.prod(axis=1) / np.maximum(full.prod(axis=1), 1e-9)
    return (inside - low).astype(np.float32), share
