# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures, battery and tegrastats out of a ROS 2 bag, read without ROS (rosbags library)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_typestore

from uav_prune_perception.onboard.telemetry.battery import normalise_battery
from uav_prune_perception.onboard.telemetry.tegrastats import parse_tegrastats
from uav_prune_perception.ros.image_conversion import (
    ImageError,
    frame_from_compressed,
    frame_from_image,
)

from .source import Event, ReplayError

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
BATTERY, STRING = 'sensor_msgs/msg/BatteryState', 'std_msgs/msg/String'
NANOSECONDS = 1e-9


class BagSource:
    """A ROS 2 bag, mcap or sqlite3.

    Battery states and tegrastats lines (a String topic with ``tegrastats`` in its name) are
    told to the policy as they come.
    """

    def __init__(self, path: Path, topic: str | None) -> None:
        """Look what is in it.

        Raises:
            ReplayError: not a bag, no pictures, or several topics of them and none chosen.
        """
        self.name = path.name
        self._path = path.parent if path.suffix == '.db3' else path
        try:
            with AnyReader([self._path], default_typestore=_types()) as reader:
                found = {
                    name: (info.msgtype or '', info.msgcount)
                    for name, info in reader.topics.items()
                }
        except (AnyReaderError, OSError, ValueError, AssertionError) as error:
            reason = ' '.join(str(error).split())[:160]
            raise ReplayError(f'{path}: not a bag that can be read: {reason}') from None
        self._topic = _chosen(path, topic, found)
        self._others = [
            name for name, (kind, _) in found.items()
            if kind == BATTERY or (kind == STRING and 'tegrastats' in name)
        ]
        self.frames: int | None = found[self._topic][1]

    def events(self) -> Iterator[Event]:
        """Pictures and telemetry, at the times they were recorded."""
        wanted = {self._topic, *self._others}
        first: int | None = None
        with AnyReader([self._path], default_typestore=_types()) as reader:
            connections = [c for c in reader.connections if c.topic in wanted]
            for connection, stamp, raw in reader.messages(connections):
                first = stamp if first is None else first
                t_s = (stamp - first) * NANOSECONDS
                message = reader.deserialize(raw, connection.msgtype)
                try:
                    yield Event(t_s, _content(message, connection.msgtype, t_s))
                except ImageError as error:
                    raise ReplayError(f'{self.name}: {connection.topic}: {error}') from None


def _types() -> Any:
    """Definitions for bags that do not bring their own (sqlite3 before Iron)."""
    return get_typestore(Stores.ROS2_HUMBLE)


def _chosen(path: Path, topic: str | None, found: dict[str, tuple[str, int]]) -> str:
    pictures = [name for name, (kind, _) in found.items() if kind in (IMAGE, COMPRESSED)]
    if topic is not None:
        if topic not in pictures:
            has = ', '.join(pictures) or 'no topic of pictures'
            raise ReplayError(f'{path}: no pictures on {topic}; there is {has}')
        return topic
    if len(pictures) != 1:
        has = f'several topics of pictures ({", ".join(pictures)}); choose one with --topic'
        raise ReplayError(f'{path}: {has if pictures else "no topic of pictures"}')
    return pictures[0]


def _content(message: Any, kind: str, t_s: float) -> Any:
    if kind == COMPRESSED:
        return frame_from_compressed(message).unpacked()
    if kind == IMAGE:
        return frame_from_image(message).unpacked()
    if kind == BATTERY:
        return normalise_battery(
            message.percentage, message.voltage, message.current, received_s=t_s
        )
    return parse_tegrastats(message.data, received_s=t_s)
