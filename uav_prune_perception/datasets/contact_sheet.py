# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a detection set with their boxes, side by side on one sheet."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.onboard.drawing import class_color

from .annotations import AnnotatedPicture, AnnotatedSet
from .decoding import read_upright
from .detection_set import SPLITS, DatasetError

CELL = (320, 256)  # width, height
COLUMNS, ROWS = 4, 2  # a row of pictures for each split, twice
GAP, CAPTION = 6, 18
GREY = (160, 160, 160)


def contact_sheet(found: AnnotatedSet, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of each split drawn at random, those with most classes preferred.

    Returns:
        uint8 [H, W, 3], BGR; regions to ignore are grey, classes have their own colours.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for split in SPLITS:
        pictures = found.splits.get(split)
        if not pictures:
            continue
        chosen = _chosen(pictures, COLUMNS * ROWS, rng)
        for start in range(0, len(chosen), COLUMNS):
            cells = [_cell(picture, split, found) for picture in chosen[start:start + COLUMNS]]
            blank = np.full_like(cells[0], 255)
            rows.append(np.hstack(cells + [blank] * (COLUMNS - len(cells))))
    return np.vstack([*rows, _legend(found.classes, rows[0].shape[1])])


def _chosen(
    pictures: list[AnnotatedPicture], count: int, rng: np.random.Generator
) -> list[AnnotatedPicture]:
    order = rng.permutation(len(pictures))
    varied = sorted(order.tolist(), key=lambda i: -len(set(pictures[i].labels.tolist())))
    return [pictures[index] for index in varied[:count]]


def _cell(picture: AnnotatedPicture, split: str, found: AnnotatedSet) -> NDArray[np.uint8]:
    width, height = CELL
    cell = np.full((height + CAPTION + GAP, width + GAP, 3), 255, np.uint8)
    try:
        image = read_upright(picture.path, 3)[:, :, ::-1]
    except DatasetError:
        image = np.full((picture.height, picture.width, 3), 40, np.uint8)
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    marks = [(box, GREY) for box in picture.ignore] + [
        (box, class_color(int(label)))
        for box, label in zip(picture.boxes, picture.labels, strict=True)
    ]
    for box, color in marks:
        x1, y1, x2, y2 = (round(float(value) * scale) for value in box)
        cv2.rectangle(small, (x1, y1), (x2, y2), color, 1)
    cell[:size[1], :size[0]] = small
    text = f'{split}: {picture.path.name}'[-46:]
    cv2.putText(
        cell, text, (2, height + CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1,
        cv2.LINE_AA,
    )
    return cell


def _legend(classes: tuple[str, ...], width: int) -> NDArray[np.uint8]:
    per_row = max(1, width // 160)
    lines = -(-len(classes) // per_row)
    strip = np.full((lines * 22 + 6, width, 3), 255, np.uint8)
    for label, name in enumerate(classes):
        x, y = (label % per_row) * 160 + 4, (label // per_row) * 22 + 4
        cv2.rectangle(strip, (x, y), (x + 14, y + 14), class_color(label), -1)
        cv2.putText(
            strip, name[:18], (x + 20, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1,
            cv2.LINE_AA,
        )
    return strip
