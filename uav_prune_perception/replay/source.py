# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a replay's pictures come from: a bag, a video, a folder, a camera."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2

from uav_prune_perception.onboard.frame import Frame
from uav_prune_perception.onboard.telemetry.snapshot import BatteryState, BoardState

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
DEFAULT_HZ = 30.0
CAMERA = 'camera'


class ReplayError(ValueError):
    """A source cannot be read or a result not be written. One line, ready to print."""


@dataclass(frozen=True)
class Event:
    """Something that happened in the recorded flight.

    Attributes:
        t_s: seconds since its beginning.
        content: a picture, or what was known of battery or board from then on.
    """

    t_s: float
    content: Frame | BatteryState | BoardState


class Source(Protocol):
    """A recorded flight."""

    name: str
    frames: int | None  # None: not known before the end

    def events(self) -> Iterator[Event]:
        """Everything that happened, in the order of time.

        Raises:
            ReplayError: the recording is damaged.
        """
        ...


def open_source(text: str, *, topic: str | None = None, hz: float | None = None) -> Source:
    """Open what the user named.

    Args:
        text: a bag (folder, .mcap, .db3), a video file, a folder of pictures, ``camera`` or
            ``camera:1``.
        topic: of the pictures in a bag; needed only where there are several.
        hz: rate of a folder's pictures, 30 when None; a video has its own.

    Raises:
        ReplayError: there is nothing of the kind.
    """
    if text == CAMERA or text.startswith(f'{CAMERA}:'):
        number = text.partition(':')[2] or '0'
        if not number.isdigit():
            raise ReplayError(f'{text}: a camera is named by its number, such as camera:0')
        return VideoSource(text, int(number), hz)
    path = Path(text).expanduser()
    if not path.exists():
        raise ReplayError(f'{path}: no such file or folder')
    if path.suffix in ('.mcap', '.db3') or (path / 'metadata.yaml').is_file():
        from .bag_source import BagSource

        return BagSource(path, topic)
    if path.is_dir():
        return FolderSource(path, hz or DEFAULT_HZ)
    return VideoSource(path.name, str(path), hz)


class FolderSource:
    """Pictures in the order of their names."""

    def __init__(self, folder: Path, hz: float) -> None:
        self.name = folder.name
        self._hz = hz
        self._files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
        self.frames: int | None = len(self._files)
        if not self._files:
            raise ReplayError(f'{folder}: holds neither a bag nor pictures')

    def events(self) -> Iterator[Event]:
        """One event per picture."""
        for index, path in enumerate(self._files):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise ReplayError(f'{path}: broken picture')
            t_s = index / self._hz
            yield Event(t_s, Frame(image, 'bgr', stamp_s=t_s, source=path.name))


class VideoSource:
    """A video file or a live camera, through OpenCV."""

    def __init__(self, name: str, device: str | int, hz: float | None) -> None:
        self.name = name
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            raise ReplayError(f'{name}: OpenCV cannot open it')
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = count if count > 0 else None
        own = self._capture.get(cv2.CAP_PROP_FPS)
        self._hz = hz or (own if 0 < own < 1000 else DEFAULT_HZ)

    def events(self) -> Iterator[Event]:
        """One event per picture, until the video ends or the camera goes."""
        try:
            for index in itertools.count():
                there, image = self._capture.read()
                if not there:
                    if index == 0:
                        raise ReplayError(f'{self.name}: not a single picture can be read')
                    return
                t_s = index / self._hz
                yield Event(t_s, Frame(image, 'bgr', stamp_s=t_s, source=self.name))
        finally:
            self._capture.release()
