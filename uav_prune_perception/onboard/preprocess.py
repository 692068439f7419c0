# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Picture to input tensor, and boxes of the input back to the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ..ladder import InputSpec
from .frame import FrameColor

WHITE = np.float32(255)


@dataclass(frozen=True)
class Geometry:
    """How one picture lies in the network input.

    A point (x, y) of the picture is at (x * scale_x + left, y * scale_y + top) of the input.
    The two scales differ a little under letterbox as well, because the resized picture has a
    whole number of pixels.
    """

    image_width: int
    image_height: int
    left: int
    top: int
    scale_x: float
    scale_y: float

    @classmethod
    def fit(cls, image_width: int, image_height: int, spec: InputSpec) -> Geometry:
        """The placement of a picture of this size under ``spec``."""
        width, height = spec.width, spec.height
        if spec.resize == 'letterbox':
            scale = min(width / image_width, height / image_height)
            width = min(width, max(1, round(image_width * scale)))
            height = min(height, max(1, round(image_height * scale)))
        left, top = (spec.width - width) // 2, (spec.height - height) // 2
        return cls(
            image_width, image_height, left, top, width / image_width, height / image_height
        )

    @property
    def width(self) -> int:
        """Width of the resized picture in the input, pixels."""
        return round(self.image_width * self.scale_x)

    @property
    def height(self) -> int:
        """Height of the resized picture in the input, pixels."""
        return round(self.image_height * self.scale_y)

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes in input pixels to boxes in picture pixels, clipped to the picture.

        Args:
            boxes: [n, 4], x1 y1 x2 y2.

        Returns:
            float32 [n, 4].
        """
        offset = np.array([self.left, self.top] * 2, np.float64)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float64)
        limit = np.array([self.image_width, self.image_height] * 2, np.float64)
        return np.clip((boxes - offset) / scale, 0.0, limit).astype(np.float32)

    def to_input(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes in picture pixels to boxes in input pixels; the inverse of `to_image`."""
        offset = np.array([self.left, self.top] * 2, np.float64)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float64)
        return boxes * scale + offset


class Preprocessor:
    """Turns pictures into the input tensor of a ladder.

    Resizes (bilinear), puts the channels in order, normalises, and lays out NCHW. The tensor
    handed out is one buffer used again for the next picture: it is valid until the next call.
    One thread at a time.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        shape = (1, spec.channels, spec.height, spec.width)
        self._tensor = np.zeros(shape, np.float32)
        # A byte has 256 values, so normalising is a table, exact to the last bit.
        values = np.arange(256, dtype=np.float64) / 255.0
        self._tables = [
            ((values - mean) / std).astype(np.float32)
            for mean, std in zip(spec.mean, spec.std, strict=True)
        ]
        # Without mean and deviation a division gives the same bits in half the time.
        quotients = np.arange(256, dtype=np.float32) / WHITE
        self._divides = all(np.array_equal(table, quotients) for table in self._tables)
        self._padded_for: Geometry | None = None
        # Written over by every picture: new memory for each costs more than what is done in it.
        self._resized: np.ndarray | None = None
        self._channels = np.empty((0, 0, 0), np.uint8)

    def __call__(self, image: np.ndarray, color: FrameColor) -> tuple[np.ndarray, Geometry]:
        """The tensor of one picture, and where the picture lies in it.

        Args:
            image: uint8 [H, W, 3], or [H, W] or [H, W, 1] for 'gray'.
            color: channel order of ``image``.

        Returns:
            float32 [1, channels, height, width], contiguous; and its geometry.

        Raises:
            ValueError: not a picture of that kind.
        """
        image = _checked(image, color)
        geometry = Geometry.fit(image.shape[1], image.shape[0], self.spec)
        if geometry != self._padded_for:
            self._pad(geometry)
        resized = image
        if (image.shape[1], image.shape[0]) != (geometry.width, geometry.height):
            size = (geometry.width, geometry.height)
            resized = self._resized = cv2.resize(
                image, size, dst=self._resized, interpolation=cv2.INTER_LINEAR
            )
        rows = slice(geometry.top, geometry.top + geometry.height)
        columns = slice(geometry.left, geometry.left + geometry.width)
        self._normalise(self._planes(resized, color), self._tensor[0, :, rows, columns])
        return self._tensor, geometry

    def _normalise(self, planes: np.ndarray, tensor: np.ndarray) -> None:
        """Bytes [channels or 1, h, w] to the floats [channels, h, w] that the network wants."""
        if self._divides:
            np.divide(planes, WHITE, out=tensor, dtype=np.float32)
            return
        planes = np.broadcast_to(planes, tensor.shape)
        for plane, table, target in zip(planes, self._tables, tensor, strict=True):
            written = cv2.LUT(plane, table, dst=target)
            if written is not target:  # OpenCV may answer with an array of its own
                target[...] = written

    def _pad(self, geometry: Geometry) -> None:
        for channel, table in enumerate(self._tables):
            self._tensor[0, channel] = table[self.spec.pad_value]
        self._padded_for = geometry

    def _planes(self, image: np.ndarray, color: FrameColor) -> np.ndarray:
        """Bytes [channels, h, w] in the order that the network wants; [1, h, w] of a gray one."""
        wanted = self.spec.color
        if wanted == 'gray':
            if color == 'gray':
                return image[None]
            code = cv2.COLOR_RGB2GRAY if color == 'rgb' else cv2.COLOR_BGR2GRAY
            return cv2.cvtColor(image, code)[None]
        if color == 'gray':
            return image[None]
        if self._channels.shape[1:] != image.shape[:2]:
            self._channels = np.empty((3, *image.shape[:2]), np.uint8)
        places = list(self._channels if color == wanted else self._channels[::-1])
        for place, plane in zip(places, cv2.split(image, places), strict=True):
            if plane is not place:
                place[...] = plane
        return self._channels


def _checked(image: np.ndarray, color: FrameColor) -> np.ndarray:
    """The picture as [H, W] (gray) or [H, W, 3]."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, 'dtype', type(image).__name__)
        raise ValueError(f'image is {kind}, must be uint8')
    if color not in ('rgb', 'bgr', 'gray'):
        raise ValueError(f'image colour is {color!r}, must be rgb, bgr or gray')
    if color == 'gray' and image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    wanted = 2 if color == 'gray' else 3
    shape = tuple(image.shape)
    if image.ndim != wanted or (wanted == 3 and shape[2] != 3):
        raise ValueError(f'image has shape {shape}, which is not a {color} picture')
    if math.prod(shape) == 0:
        raise ValueError(f'image has shape {shape}: it is empty')
    return image
