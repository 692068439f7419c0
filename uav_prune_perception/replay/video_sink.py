# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An annotated video of a replay."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from uav_prune_perception.onboard.drawing import draw
from uav_prune_perception.onboard.results import Result
from uav_prune_perception.onboard.state import LevelState

from .source import ReplayError

CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG', '.mkv': 'mp4v'}
STRIP = 22  # pixels under the picture for the reason of the latest change


class VideoSink:
    """Writes every picture with its boxes; the latest change of level stands below it.

    The file is written beside its place and renamed when the replay has ended well.

    Args:
        path: .mp4, .avi or .mkv.
        classes: of the ladder.
        hz: pictures a second.

    Raises:
        ReplayError: unknown kind of video.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], hz: float) -> None:
        if path.suffix.lower() not in CODECS:
            raise ReplayError(f'{path}: videos end in {", ".join(CODECS)}')
        if not path.expanduser().absolute().parent.is_dir():
            raise ReplayError(f'{path}: there is no folder {path.parent}')
        self._path, self._classes, self._hz = path.expanduser(), classes, hz
        self._partial = self._path.with_name(f'.{self._path.stem}.partial{self._path.suffix}')
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._caption = ''

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._writer is not None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def level(self, t_s: float, state: LevelState) -> None:
        """The caption from now on."""
        self._caption = f'{t_s:6.1f} s  level {state.name}: {state.reason}'

    def result(self, t_s: float, result: Result) -> None:
        """One more picture; all have the size of the first."""
        picture = draw(result, self._classes)
        if self._writer is None:
            self._open(picture)
        height = self._size[1] - STRIP
        if picture.shape[:2] != (height, self._size[0]):
            picture = cv2.resize(picture, (self._size[0], height))
        whole = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        whole[:height] = picture
        cv2.putText(
            whole, self._caption, (4, self._size[1] - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.4,
            (255, 255, 255), 1, cv2.LINE_AA,
        )
        assert self._writer is not None
        self._writer.write(whole)

    def _open(self, picture: np.ndarray) -> None:
        # The codecs want even sides.
        self._size = (picture.shape[1] // 2 * 2, (picture.shape[0] + STRIP) // 2 * 2)
        code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._partial), code, self._hz, self._size)
        if not self._writer.isOpened():
            raise ReplayError(f'{self._path}: OpenCV cannot write this kind of video here')
