# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector's training pictures: chance is thrown for all in turn, then threads make them.

So the batches are the same, to the bit, however many threads or processes there are, and a GPU
does not wait for the warps of the next batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.datasets.decoding import decoding_threads
from uav_prune_perception.datasets.detection_set import DetectionSplit

from .ahead import ahead
from .augmentation import Augmentation, Change, apply_change, draw_change
from .detection_loss import IGNORE
from .mosaic import MosaicPlan, Picture, draw_mosaic, mosaic

# What is shown, and what chance has chosen for it: one picture, or four of a mosaic.
Plan = tuple[list[int], MosaicPlan | Change]
Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]


def drawn(
    split: DetectionSplit, chosen: NDArray[np.int64], pool: NDArray[np.int64],
    rng: np.random.Generator, options: Augmentation,
) -> list[Plan]:
    """The throws for a batch, without the work.

    Args:
        split: of the pictures.
        chosen: int64 [B], the pictures of the batch.
        pool: those that complete a mosaic.
        rng: source of chance.
        options: strength.
    """
    height, width = split.images.shape[1:3]
    plans: list[Plan] = []
    for index in chosen:
        if options.mosaic and rng.random() < options.mosaic:
            four = [int(index), *map(int, pool[rng.integers(len(pool), size=3)])]
            plans.append((four, draw_mosaic(width, height, rng, options)))
        else:
            plans.append(([int(index)], draw_change(width, height, rng, options)))
    return plans


def made(
    split: DetectionSplit, plans: Iterable[list[Plan]], pad_value: int
) -> Iterator[Batch]:
    """The batches of these plans, the next one already while the reader is at work.

    Args:
        split: of the pictures.
        plans: of each batch.
        pad_value: fills what no picture covers.

    Returns:
        For each batch uint8 [B, H, W, C] and targets float32 [M, 6]: picture index, class
        (`IGNORE`: a region), corners.
    """
    return ahead(_made(split, plans, pad_value))


def _made(
    split: DetectionSplit, plans: Iterable[list[Plan]], pad_value: int
) -> Iterator[Batch]:
    make = partial(_picture, split, pad_value=pad_value)
    with ThreadPoolExecutor(decoding_threads(), 'augmentation') as threads:
        for batch in plans:
            images = np.empty((len(batch), *split.images.shape[1:]), np.uint8)
            rows = []
            for slot, (image, boxes, labels) in enumerate(threads.map(make, batch)):
                images[slot] = image
                row = np.empty((len(labels), 6), np.float32)
                row[:, 0], row[:, 1], row[:, 2:] = slot, labels, boxes
                rows.append(row)
            yield images, np.concatenate(rows)


def _picture(split: DetectionSplit, plan: Plan, *, pad_value: int) -> Picture:
    shown, chance = plan
    pictures = [_all_boxes(split, index) for index in shown]
    if isinstance(chance, MosaicPlan):
        return mosaic(pictures, chance, pad_value)
    picture, boxes, labels = pictures[0]
    image, moved, keep = apply_change(picture, boxes, chance, pad_value)
    return image, moved[keep], labels[keep]


def _all_boxes(split: DetectionSplit, index: int) -> Picture:
    """One picture with its boxes, and its regions to ignore as boxes of class `IGNORE`."""
    ignore = split.ignore[index]
    return (
        split.images[index],
        np.concatenate([split.boxes[index], ignore]),
        np.concatenate([split.labels[index], np.full(len(ignore), IGNORE, np.int64)]),
    )
