# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Generated aerial scenes: single pictures for training, and a flight over one world."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .detection_set import (
    SPLITS,
    DatasetError,
    DetectionSet,
    DetectionSplit,
    SplitName,
    sha256_of_splits,
)
from .scene_ground import Ground, paint_ground, paint_tree
from .scene_objects import CLASSES, Thing, box_of, paint_thing, place_things

# A box cut by the picture's edge counts while this much of it is still inside.
MIN_INSIDE = 0.4


@dataclass(frozen=True)
class FlightFrame:
    """One picture of a flight with its truth.

    Attributes:
        image: uint8 [H, W, 3] RGB.
        boxes: float32 [n, 4], corners in pixels, clipped to the picture.
        labels: int64 [n], index into `CLASSES`.
        time_s: seconds since the first frame.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    time_s: float


def scene(
    seed: int | tuple[int, ...], width: int = 320, height: int = 256
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """One picture, always the same for the same arguments.

    Returns:
        image uint8 [height, width, 3] RGB; boxes float32 [n, 4] corners in pixels; labels
        int64 [n], index into `CLASSES`.
    """
    rng = np.random.default_rng(seed)
    ground = paint_ground(rng, width, height)
    area = width * height / (320 * 256)
    count = max(3, int(rng.integers(4, 15) * area))
    things = place_things(ground, rng, count, scale=rng.uniform(0.85, 1.25))
    image = _paint(ground.image, things, ground.shadow, rng)
    boxes, labels = _visible(things, width, height)
    return _photograph(image, rng), boxes, labels


def flight(
    seed: int | tuple[int, ...],
    frames: int,
    width: int = 320,
    height: int = 256,
    *,
    rate_hz: float = 10.0,
    world: int = 1600,
) -> Iterator[FlightFrame]:
    """A camera drifting and turning over one big world in which vehicles move.

    Args:
        seed: decides everything.
        frames: number of frames.
        width: picture width in pixels.
        height: picture height in pixels.
        rate_hz: frames per second of the camera.
        world: side of the square world in pixels.
    """
    rng = np.random.default_rng(seed)
    ground = paint_ground(rng, world, world)
    things = place_things(ground, rng, int(9 * world * world / (320 * 256)), scale=1.05)
    things = _in_convoys(things)
    light = _light(rng)
    margin = 0.55 * float(np.hypot(width, height))
    phase = rng.uniform(0, 2 * np.pi, 4)
    for index in range(frames):
        time_s = index / rate_hz
        camera = _camera(time_s, phase, world, margin)
        now = [_moved(thing, time_s) for thing in things]
        image, boxes, labels = _frame(ground, now, camera, (width, height))
        yield FlightFrame(_photograph(image, rng, light), boxes, labels, time_s)


def generated_set(
    *,
    train: int = 800,
    val: int = 150,
    test: int = 150,
    width: int = 320,
    height: int = 256,
    train_width: int = 0,
    train_height: int = 0,
    seed: int = 0,
) -> DetectionSet:
    """Three splits of generated scenes; no picture is in two of them.

    Args:
        train: number of training pictures; ``val`` and ``test`` likewise.
        width: size of the val and test pictures: what the camera delivers. Things have the same
            size in pixels whatever the size of the picture.
        height: likewise.
        train_width: size of the training pictures; 0 = as the others. Smaller ones are cheaper,
            and a fully convolutional detector learns the same from them.
        train_height: likewise.
        val: see ``train``.
        test: see ``train``.
        seed: decides everything.
    """
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    for option, value in (*counts.items(), ('width', width), ('height', height)):
        if value < 1:
            raise DatasetError(f'data.{option}: must be 1 or more, not {value}')
    camera = (width, height)
    tile = (train_width or width, train_height or height)
    sizes = {'train': tile, 'val': camera, 'test': camera}
    splits: dict[SplitName, DetectionSplit] = {}
    for number, name in enumerate(SPLITS):
        made = [scene((seed, number, index), *sizes[name]) for index in range(counts[name])]
        images = np.empty((len(made), *sizes[name][::-1], 3), np.uint8)
        for index, (image, _, _) in enumerate(made):
            images[index] = image
        splits[name] = DetectionSplit(images, [m[1] for m in made], [m[2] for m in made])
    return DetectionSet(CLASSES, splits.__getitem__, sha256_of_splits(splits))


def _paint(
    image: NDArray[np.uint8],
    things: list[Thing],
    shadow: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    for thing in things:
        paint_thing(image, thing, shadow)
    for thing in things:
        if rng.random() < 0.08:  # a tree hides one corner
            angle = rng.uniform(0, 2 * np.pi)
            reach = np.array([np.cos(angle), np.sin(angle)]) * thing.radius
            paint_tree(image, rng, thing.place + reach, 0.7 * thing.radius, shadow)
    return image


def _visible(
    things: list[Thing], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if not things:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    full = np.stack([box_of(thing) for thing in things])
    boxes = np.clip(full, 0, np.array([width, height, width, height], np.float32))
    area = np.prod(full[:, 2:] - full[:, :2], axis=1)
    keep = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) >= MIN_INSIDE * area
    labels = np.array([thing.label for thing in things], np.int64)
    return boxes[keep], labels[keep]


@dataclass(frozen=True)
class _Light:
    gain: NDArray[np.float64]
    offset: float
    blur: float
    noise: float


def _light(rng: np.random.Generator) -> _Light:
    gain = rng.uniform(0.6, 1.25) * rng.uniform(0.94, 1.06, 3)
    return _Light(gain, rng.uniform(-12, 12), rng.choice([0.0, 0.0, 0.5, 0.8]), rng.uniform(1, 6))


def _photograph(
    image: NDArray[np.uint8], rng: np.random.Generator, light: _Light | None = None
) -> NDArray[np.uint8]:
    """Light, lens blur and sensor noise."""
    light = light or _light(rng)
    if light.blur > 0:
        image = np.asarray(cv2.GaussianBlur(image, (5, 5), light.blur), np.uint8)
    levels = np.arange(256)[:, None] * light.gain + light.offset
    table = np.clip(levels, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    image = np.asarray(cv2.LUT(image, table), np.uint8)
    # One noise tile, shifted: drawing a number for each pixel would cost more than the scene
    spread = light.noise / 37.0
    tile: NDArray[np.int16] = (rng.integers(-64, 64, size=4096) * spread).astype(np.int16)
    starts = rng.integers(0, 4096 - 512, size=(image.shape[0], 1))
    columns = np.arange(image.shape[1] * 3) % 512
    noise = tile[starts + columns].reshape(image.shape)
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def _camera(
    time_s: float, phase: NDArray[np.float64], world: int, margin: float
) -> tuple[NDArray[np.float64], float, float]:
    """Centre in the world, yaw (radians) and zoom at a time; a slow closed wander."""
    reach = world / 2 - margin
    x = np.sin(0.055 * time_s + phase[0]) * reach
    y = np.sin(0.043 * time_s + phase[1]) * reach
    yaw = 0.6 * np.sin(0.05 * time_s + phase[2])
    zoom = 1.0 + 0.12 * np.sin(0.11 * time_s + phase[3])
    return np.array([world / 2 + x, world / 2 + y]), float(yaw), float(zoom)


def _in_convoys(things: list[Thing]) -> list[Thing]:
    """Vehicles of one lane at one speed: they do not drive through each other."""
    speeds: dict[tuple[float, ...], float] = {}
    return [
        thing
        if thing.lane is None
        else dataclasses.replace(
            thing, speed=speeds.setdefault(tuple(thing.lane[0]), thing.speed)
        )
        for thing in things
    ]


def _moved(thing: Thing, time_s: float) -> Thing:
    if thing.speed == 0.0:
        return thing
    along = np.array([np.cos(thing.heading), np.sin(thing.heading)])
    if thing.lane is None:  # people and boats go to and fro and stay on their kind of ground
        return dataclasses.replace(thing, place=thing.place + along * thing.speed * np.sin(time_s))
    entry, length = thing.lane
    done = (np.linalg.norm(thing.place - entry) + thing.speed * time_s) % length
    lane = (thing.place - entry) / max(float(np.linalg.norm(thing.place - entry)), 1e-6)
    return dataclasses.replace(thing, place=entry + lane * done)


def _frame(
    ground: Ground,
    things: list[Thing],
    camera: tuple[NDArray[np.float64], float, float],
    size: tuple[int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    centre, yaw, zoom = camera
    width, height = size
    c, s = np.cos(yaw) * zoom, np.sin(yaw) * zoom
    turn = np.array([[c, -s], [s, c]])
    offset = np.array([width / 2, height / 2]) - turn @ centre
    matrix = np.concatenate([turn, offset[:, None]], axis=1)
    turned = cv2.warpAffine(ground.image, matrix, size, borderMode=cv2.BORDER_REFLECT)
    image = np.asarray(turned, np.uint8)
    reach = 0.6 * float(np.hypot(width, height)) / zoom
    near = [t for t in things if np.abs(t.place - centre).max() < reach + t.radius]
    seen = [
        dataclasses.replace(
            t, place=turn @ t.place + offset, heading=t.heading + yaw, scale=t.scale * zoom
        )
        for t in near
    ]
    shadow = turn @ ground.shadow / zoom
    for thing in seen:
        paint_thing(image, thing, shadow)
    boxes, labels = _visible(seen, width, height)
    return image, boxes, labels
