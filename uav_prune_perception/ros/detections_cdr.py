# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/Detection2DArray as the bytes that go on the wire.

rclpy looks at a dozen Python objects for every box, of which this node sets two; a box packed at
once costs a tenth of that. The bytes are CDR (OMG Common Data Representation, XCDR version 1):
everything lies at a multiple of its own size, counted from the end of the four bytes that tell the
order, and a string is its length with the final zero, its bytes, and that zero.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from ..onboard.results import Detections
from .message_conversion import MessageConverter

log = logging.getLogger(__name__)

LITTLE_ENDIAN = b'\0\1\0\0'
# geometry_msgs/PoseWithCovariance as it is when nobody sets it: the orientation's w is 1.
NO_POSE = struct.pack('<7d36d', *(0,) * 6, 1, *(0,) * 36)


class DetectionsPacker:
    """Packs detections of one ladder; for one thread."""

    def __init__(self, class_ids: Sequence[str]) -> None:
        """``class_ids``: what is said of each class."""
        self._ids = [_text(name) for name in class_ids]
        self._frame_id = b''
        self._layouts: dict[tuple[int, int], struct.Struct] = {}

    def __call__(self, detections: Detections, header: Any) -> bytes:
        """The message; array and boxes carry the image's header."""
        frame_id = _text(header.frame_id)
        if frame_id != self._frame_id:
            self._frame_id = frame_id
            self._layouts.clear()
        stamp = (header.stamp.sec, header.stamp.nanosec, len(frame_id), frame_id)
        start = _Format(0).header(frame_id).plain('I').made()
        parts = [LITTLE_ENDIAN, start.pack(*stamp, len(detections))]
        place = start.size
        for (x1, y1, x2, y2), score, number in zip(
            detections.boxes.tolist(), detections.scores.tolist(),
            detections.class_ids.tolist(), strict=True,
        ):
            key = place % 8, number
            layout = self._layouts.get(key)
            if layout is None:
                layout = self._layouts[key] = _box_layout(place % 8, frame_id, self._ids[number])
            class_id = self._ids[number]
            parts.append(layout.pack(
                *stamp, 1, len(class_id), class_id, score, NO_POSE,
                (x1 + x2) / 2, (y1 + y2) / 2, 0.0, x2 - x1, y2 - y1, 1, b'\0',
            ))
            place += layout.size
        return b''.join(parts)


@cache
def packing_works() -> bool:
    """Whether the ROS of this machine reads the bytes as the message they stand for.

    Where it does not, the log says why, once, and detections go out as rclpy's messages.
    """
    try:
        reason = _misread()
    except Exception as error:  # whatever the middleware makes of bytes that it does not like
        reason = f'{type(error).__name__}: {error}'
    if reason:
        log.info(f'detections are serialised by rclpy, which takes longer: {reason}')
    return not reason


def _misread() -> str:
    """What is wrong with the bytes, for the ROS of this machine; '' = nothing."""
    found = Detections(
        np.array([[1, 2, 4, 8], [0.5, 0.25, 640, 480], [3, 5, 7, 11]], np.float32),
        np.array([0.75, 0.5, 0.125], np.float32), np.array([0, 1, 0]),
    )
    names = ('by', 'heart')
    expect = MessageConverter(names, names=True).detections
    for frame_id in ('', 'camera', 'nadir_camera'):
        header = Header(stamp=Time(sec=-3, nanosec=999_999_999), frame_id=frame_id)
        read = deserialize_message(DetectionsPacker(names)(found, header), Detection2DArray)
        if read != expect(found, header):
            return 'it reads other values than were packed'
    return ''


class _Format:
    """A `struct` format that grows, with the gaps that CDR asks for."""

    def __init__(self, place: int) -> None:
        self._text, self._place = '<', place

    def plain(self, letter: str, count: int = 1) -> _Format:
        """Numbers of one kind."""
        size = struct.calcsize(f'<{letter}')
        gap = -self._place % size
        self._text += f'{gap}x{count}{letter}'
        self._place += gap + count * size
        return self

    def raw(self, count: int) -> _Format:
        self._text += f'{count}s'
        self._place += count
        return self

    def header(self, frame_id: bytes) -> _Format:
        return self.plain('i').plain('I').text(frame_id)

    def text(self, value: bytes) -> _Format:
        return self.plain('I').raw(len(value))

    def made(self) -> struct.Struct:
        return struct.Struct(self._text)


def _box_layout(place: int, frame_id: bytes, class_id: bytes) -> struct.Struct:
    """Of one Detection2D with one hypothesis, that begins at ``place`` (modulo 8)."""
    box = _Format(place).header(frame_id).plain('I').text(class_id).plain('d')
    return box.raw(len(NO_POSE)).plain('d', 5).text(b'\0').made()


def _text(value: str) -> bytes:
    return value.encode() + b'\0'
