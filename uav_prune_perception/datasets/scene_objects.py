# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The objects of a generated aerial scene: outlines, placement, painting, exact boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .scene_ground import LAND, ROAD, WATER, Ground

CLASSES = ('car', 'truck', 'person', 'boat')
CAR, TRUCK, PERSON, BOAT = range(4)

# Length and width in pixels at scale 1.
SIZES = {CAR: (19.0, 9.0), TRUCK: (34.0, 11.5), PERSON: (13.0, 11.0), BOAT: (27.0, 10.0)}
CAR_PAINT = np.array(
    [[222, 222, 222], [36, 36, 40], [150, 152, 156], [172, 30, 30], [36, 62, 140], [196, 176, 60]]
)
TRUCK_PAINT = np.array([[214, 214, 210], [198, 120, 40], [60, 96, 150], [80, 120, 70]])
SHIRT = np.array([[200, 40, 40], [230, 200, 60], [240, 240, 240], [40, 70, 170], [30, 30, 36]])
HULL = np.array([[236, 236, 232], [160, 110, 70], [200, 60, 50]])
_SHIFT = 4  # sub-pixel bits of the cv2 drawing functions


@dataclass
class Thing:
    """One object: class, place (pixels), heading (radians), scale, paint (RGB), speed (px/s).

    ``lane`` is where a vehicle drives: entry point of the picture and length in pixels.
    """

    label: int
    place: NDArray[np.float64]
    heading: float
    scale: float
    paint: NDArray[np.float64]
    speed: float = 0.0
    lane: tuple[NDArray[np.float64], float] | None = None

    @property
    def radius(self) -> float:
        """Half of the diagonal."""
        length, width = SIZES[self.label]
        return 0.5 * float(np.hypot(length, width)) * self.scale


def outline(thing: Thing) -> NDArray[np.float64]:
    """The silhouette in pixels: float64 [points, 2]."""
    length, width = SIZES[thing.label]
    if thing.label == BOAT:
        unit = [(0.5, 0.0), (0.2, 0.5), (-0.5, 0.42), (-0.5, -0.42), (0.2, -0.5)]
    elif thing.label == PERSON:
        unit = [(0.3, 0.0), (0.2, 0.4), (-0.1, 0.5), (-0.3, 0.25), (-0.3, -0.25), (-0.1, -0.5),
                (0.2, -0.4)]
    else:
        unit = [(0.5, 0.38), (0.44, 0.5), (-0.46, 0.5), (-0.5, 0.42), (-0.5, -0.42),
                (-0.46, -0.5), (0.44, -0.5), (0.5, -0.38)]
    return _placed(thing, np.array(unit) * (length, width))


def box_of(thing: Thing) -> NDArray[np.float32]:
    """Corners x1, y1, x2, y2 of the painted silhouette, not clipped: float32 [4]."""
    points = outline(thing)
    # cv2 puts pixel centres at whole numbers and paints the edge too: one pixel more at the end
    return np.concatenate([points.min(0), points.max(0) + 1.0]).astype(np.float32)


def paint_thing(image: NDArray[np.uint8], thing: Thing, shadow: NDArray[np.float64]) -> None:
    """Shadow, silhouette and the parts that tell the classes apart."""
    points = outline(thing)
    if thing.label != BOAT:
        height = {CAR: 1.0, TRUCK: 2.0, PERSON: 1.4}[thing.label] * thing.scale
        _fill(image, points + shadow * height, np.array([34.0, 36.0, 38.0]))
    _fill(image, points, thing.paint)
    length, width = SIZES[thing.label]
    parts: list[tuple[list[tuple[float, float]], NDArray[np.float64]]]
    dark = np.array([28.0, 32.0, 40.0])
    if thing.label == CAR:
        parts = [
            ([(0.22, 0.4), (0.1, 0.36), (0.1, -0.36), (0.22, -0.4)], dark),
            ([(-0.28, 0.36), (-0.38, 0.38), (-0.38, -0.38), (-0.28, -0.36)], dark),
        ]
    elif thing.label == TRUCK:
        cab = np.clip(thing.paint * 0.7 + 20, 0, 255)
        parts = [
            ([(0.5, 0.42), (0.3, 0.46), (0.3, -0.46), (0.5, -0.42)], cab),
            ([(0.45, 0.36), (0.4, 0.38), (0.4, -0.38), (0.45, -0.36)], dark),
            ([(0.3, 0.5), (0.26, 0.5), (0.26, -0.5), (0.3, -0.5)], dark),
        ]
    elif thing.label == BOAT:
        parts = [([(0.1, 0.25), (-0.4, 0.3), (-0.4, -0.3), (0.1, -0.25)], thing.paint * 0.55)]
    else:
        head = np.array([[0.05 * length, 0.0]])
        centre = _placed(thing, head)[0]
        radius = int(0.2 * width * thing.scale * (1 << _SHIFT))
        where = (int(centre[0] * (1 << _SHIFT)), int(centre[1] * (1 << _SHIFT)))
        cv2.circle(image, where, radius, [58, 42, 34], -1, cv2.LINE_AA, _SHIFT)
        return
    for corners, color in parts:
        _fill(image, _placed(thing, np.array(corners) * (length, width)), color)


def place_things(
    ground: Ground, rng: np.random.Generator, count: int, scale: float
) -> list[Thing]:
    """About ``count`` objects that do not touch, each where it belongs."""
    height, width = ground.kind.shape
    things: list[Thing] = []
    taken = np.zeros((0, 3))
    for _ in range(3 * count):
        if len(things) >= count:
            break
        thing = _propose(ground, rng, scale * rng.uniform(0.85, 1.2), width, height)
        if thing is None:
            continue
        gap = np.hypot(*(taken[:, :2] - thing.place).T) - taken[:, 2]
        if (gap < thing.radius * 0.9).any():
            continue
        things.append(thing)
        taken = np.concatenate([taken, [[*thing.place, thing.radius * 0.9]]])
    return things


def _propose(
    ground: Ground, rng: np.random.Generator, scale: float, width: int, height: int
) -> Thing | None:
    label = int(rng.choice(4, p=(0.44, 0.18, 0.26, 0.12)))
    table = {CAR: CAR_PAINT, TRUCK: TRUCK_PAINT, PERSON: SHIRT, BOAT: HULL}[label]
    paint = np.clip(table[rng.integers(len(table))] + rng.normal(0, 12, 3), 0, 255)
    if label in (CAR, TRUCK) and ground.roads and rng.random() < 0.75:
        return _on_road(ground, rng, Thing(label, np.zeros(2), 0.0, scale, paint))
    # Water is rarely hit by chance: a boat looks for it several times
    places = rng.uniform((0, 0), (width, height), (8 if label == BOAT else 1, 2))
    kinds = ground.kind[places[:, 1].astype(int), places[:, 0].astype(int)]
    allowed = {CAR: (LAND,), TRUCK: (LAND,), PERSON: (LAND, ROAD), BOAT: (WATER,)}[label]
    fitting = np.flatnonzero(np.isin(kinds, allowed))
    if len(fitting) == 0:
        return None
    place = places[fitting[0]]
    speed = 0.0 if label in (CAR, TRUCK) else rng.uniform(0, 10)
    return Thing(label, place, rng.uniform(0, 2 * np.pi), scale, paint, speed)


def _on_road(ground: Ground, rng: np.random.Generator, thing: Thing) -> Thing | None:
    start, end, road = ground.roads[rng.integers(len(ground.roads))]
    if rng.random() < 0.5:
        start, end = end, start
    along = (end - start) / np.linalg.norm(end - start)
    lane = start + np.array([-along[1], along[0]]) * road * 0.24  # keep to the right
    reach = np.arange(0.0, float(np.linalg.norm(end - start)), 4.0)
    track = lane + reach[:, None] * along
    height, width = ground.kind.shape
    inside = np.flatnonzero(((track >= 0) & (track < (width, height))).all(axis=1))
    if len(inside) < 2:
        return None
    entry, length = track[inside[0]], 4.0 * len(inside)
    place = entry + along * rng.uniform(0, length)
    heading = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.05))
    return replace(
        thing, place=place, heading=heading, speed=rng.uniform(15, 60), lane=(entry, length)
    )


def _placed(thing: Thing, points: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(thing.heading), np.sin(thing.heading)
    return points @ np.array([[c, s], [-s, c]]) * thing.scale + thing.place


def _fill(
    image: NDArray[np.uint8], points: NDArray[np.float64], color: NDArray[np.float64]
) -> None:
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(image, fixed, color.tolist(), cv2.LINE_AA, _SHIFT)
