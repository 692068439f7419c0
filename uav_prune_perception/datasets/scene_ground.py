# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a generated aerial scene: fields, water, roads, buildings, light."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

LAND, ROAD, BUILDING, WATER = 0, 1, 2, 3

# RGB of fields, meadows, bare earth, dry grass, gravel, wasteland.
FIELD_COLORS = np.array(
    [[96, 118, 66], [120, 132, 78], [138, 116, 86], [150, 142, 98], [82, 100, 60], [128, 124, 116]]
)
ROOF_COLORS = np.array([[150, 84, 66], [126, 122, 118], [176, 168, 156], [92, 88, 92]])


@dataclass
class Ground:
    """A painted picture and what is where in it.

    Attributes:
        image: uint8 [H, W, 3] RGB.
        kind: uint8 [H, W]: LAND, ROAD, BUILDING or WATER.
        roads: start, end (pixels) and width of each straight road.
        shadow: direction and length of shadows in pixels per unit of height.
    """

    image: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    shadow: NDArray[np.float64]
    roads: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = field(
        default_factory=list
    )


def paint_ground(rng: np.random.Generator, width: int, height: int) -> Ground:
    """A new ground; everything comes from ``rng``, sizes are in pixels at 1 pixel = 0.25 m."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = FIELD_COLORS[rng.integers(len(FIELD_COLORS))]
    angle = rng.uniform(0, 2 * np.pi)
    shadow = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(1.0, 4.0)
    ground = Ground(image, np.zeros((height, width), np.uint8), shadow)
    area = width * height / (320 * 256)
    _paint_fields(ground, rng, 3 + rng.poisson(2 * area))
    if rng.random() < min(1.0, 0.45 * area):
        for _ in range(max(1, int(area / 6))):
            _paint_water(ground, rng)
    _add_texture(image, rng)
    _paint_roads(ground, rng, int(rng.integers(1, 3)) + int(area / 4))
    _paint_buildings(ground, rng, rng.poisson(2.2 * area))
    _paint_clutter(ground, rng, rng.poisson(12 * area))
    return ground


def _color(rng: np.random.Generator, table: NDArray[np.int64], spread: float) -> list[float]:
    color = table[rng.integers(len(table))] + rng.normal(0, spread, 3)
    return np.clip(color, 0, 255).tolist()


def _paint_fields(ground: Ground, rng: np.random.Generator, count: int) -> None:
    height, width = ground.kind.shape
    for _ in range(count):
        centre = rng.uniform((0, 0), (width, height))
        size = rng.uniform(60, 200, 2)
        corners = cv2.boxPoints((tuple(centre), tuple(size), rng.uniform(0, 180)))
        color = _color(rng, FIELD_COLORS, 10)
        cv2.fillConvexPoly(ground.image, corners.astype(np.int32), color)
        if rng.random() < 0.4:  # furrows
            start, side = corners[0], corners[1] - corners[0]
            along = corners[3] - corners[0]
            darker = [value * 0.88 for value in color]
            for step in np.arange(0.03, 1.0, 0.07):
                a, b = start + side * step, start + side * step + along
                cv2.line(ground.image, _int(a), _int(b), darker, 1)


def _paint_water(ground: Ground, rng: np.random.Generator) -> None:
    height, width = ground.kind.shape
    color = [30 + rng.uniform(0, 40), 70 + rng.uniform(0, 40), 90 + rng.uniform(0, 50)]
    if rng.random() < 0.5:  # a river from side to side
        x = np.linspace(-20, width + 20, 12)
        y = rng.uniform(0.1, 0.9) * height + np.cumsum(rng.normal(0, height * 0.06, 12))
        line = np.stack([x, y], 1)
        if rng.random() < 0.5:
            line = line[:, ::-1] * (width / height, height / width)
        thickness = int(rng.uniform(50, 110))
        for canvas, value in ((ground.image, color), (ground.kind, [WATER])):
            cv2.polylines(canvas, [line.astype(np.int32)], False, value, thickness)
        return
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    radius = rng.uniform(0.25, 0.5) * min(height, 400) * rng.uniform(0.75, 1.2, 14)
    centre = rng.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height))
    lake = centre + np.stack([np.cos(turn), np.sin(turn)], 1) * radius[:, None] * (1.5, 1)
    for canvas, value in ((ground.image, color), (ground.kind, [WATER])):
        cv2.fillPoly(canvas, [lake.astype(np.int32)], value)


def _add_texture(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    total = np.zeros((height, width), np.int16)
    for cell, strength in ((48, 12.0), (12, 7.0), (3, 5.0)):
        coarse = rng.normal(0, strength, (height // cell + 2, width // cell + 2))
        smooth = cv2.resize(
            coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        total += smooth.astype(np.int16)
    cv2.add(image, cv2.merge([total] * 3), dst=image, dtype=cv2.CV_8U)


def _paint_roads(ground: Ground, rng: np.random.Generator, count: int) -> None:
    height, width = ground.kind.shape
    for _ in range(count):
        angle = rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)]) * (width + height)
        centre = rng.uniform((0.15 * width, 0.15 * height), (0.85 * width, 0.85 * height))
        start, end = centre - along, centre + along
        road = rng.uniform(24, 44)
        grey = rng.uniform(70, 130)
        color = [grey, grey, grey * rng.uniform(0.95, 1.06)]
        cv2.line(ground.image, _int(start), _int(end), [grey * 1.25] * 3, int(road) + 4)
        cv2.line(ground.image, _int(start), _int(end), color, int(road))
        cv2.line(ground.kind, _int(start), _int(end), [ROAD], int(road))
        ground.roads.append((start, end, road))
        dash, gap = along / np.linalg.norm(along) * 10, 24.0
        for step in np.arange(0, 2 * np.linalg.norm(along), gap):
            a = start + dash / 10 * step
            if -20 < a[0] < width + 20 and -20 < a[1] < height + 20:
                cv2.line(ground.image, _int(a), _int(a + dash), [225, 225, 215], 1, cv2.LINE_AA)


def _paint_buildings(ground: Ground, rng: np.random.Generator, count: int) -> None:
    height, width = ground.kind.shape
    for _ in range(count):
        centre = rng.uniform((0, 0), (width, height))
        x, y = _int(centre)
        patch = ground.kind[max(0, y - 30):y + 30, max(0, x - 30):x + 30]
        if patch.size == 0 or patch.any():
            continue
        box = (tuple(centre), tuple(rng.uniform(30, 74, 2)), rng.uniform(0, 180))
        corners = cv2.boxPoints(box)
        shade = (corners + ground.shadow * 5).astype(np.int32)
        hull = cv2.convexHull(np.concatenate([corners.astype(np.int32), shade]))
        _darken(ground.image, np.asarray(hull, np.int32))
        color = _color(rng, ROOF_COLORS, 12)
        cv2.fillConvexPoly(ground.image, corners.astype(np.int32), color, cv2.LINE_AA)
        ridge_a, ridge_b = (corners[0] + corners[1]) / 2, (corners[2] + corners[3]) / 2
        half = np.array([corners[0], ridge_a, ridge_b, corners[3]]).astype(np.int32)
        cv2.fillConvexPoly(ground.image, half, [c * 0.82 for c in color], cv2.LINE_AA)
        cv2.fillConvexPoly(ground.kind, corners.astype(np.int32), [BUILDING])


def _paint_clutter(ground: Ground, rng: np.random.Generator, count: int) -> None:
    """Bushes, crates and rocks: things of an object's size that are no objects."""
    height, width = ground.kind.shape
    for _ in range(count):
        centre = rng.uniform((0, 0), (width, height))
        x, y = _int(centre)
        if ground.kind[min(y, height - 1), min(x, width - 1)] != LAND:
            continue
        if rng.random() < 0.75:
            paint_tree(ground.image, rng, centre, rng.uniform(3, 12), ground.shadow)
            continue
        box = (tuple(centre), tuple(rng.uniform(4, 13, 2)), rng.uniform(0, 180))
        corners = cv2.boxPoints(box).astype(np.int32)
        color = _color(rng, np.array([[120, 110, 96], [96, 96, 100], [150, 146, 140]]), 10)
        cv2.fillConvexPoly(ground.image, corners, color, cv2.LINE_AA)


def paint_tree(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    centre: NDArray[np.float64],
    radius: float,
    shadow: NDArray[np.float64],
) -> None:
    """A crown of three discs and its shadow."""
    base = np.array([44, 74, 34]) + rng.normal(0, 9, 3)
    cv2.circle(image, _int(centre + shadow * 1.5), int(radius), (base * 0.5).tolist(), -1)
    for scale, light in ((1.0, 0.85), (0.7, 1.05), (0.4, 1.25)):
        where = centre + rng.normal(0, radius * 0.15, 2)
        color = np.clip(base * light, 0, 255).tolist()
        cv2.circle(image, _int(where), max(1, int(radius * scale)), color, -1, cv2.LINE_AA)


def _darken(image: NDArray[np.uint8], polygon: NDArray[np.int32], factor: float = 0.55) -> None:
    height, width = image.shape[:2]
    x, y, w, h = cv2.boundingRect(polygon)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillConvexPoly(mask, polygon - np.array([left, top], np.int32), [255])
    view = image[top:bottom, left:right]
    np.copyto(view, (view * factor).astype(np.uint8), where=mask[..., None] > 0)


def _int(point: NDArray[np.float64] | tuple[float, float]) -> tuple[int, int]:
    return int(point[0]), int(point[1])
