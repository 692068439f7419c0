# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where decoded pictures lie: in memory while they fit, else in a file that is mapped.

A mapped file is read through the system's page cache, which gives its memory back when others
need it, and is shared by all processes. It is written once and found again by what decides it.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uav_prune_perception.ladder.durable import flush
from uav_prune_perception.onboard.memory import available_bytes

from .detection_set import DatasetError

LOGGER = logging.getLogger(__name__)
MEMORY_SHARE = 0.5  # of what is free: training wants some too
PICTURES, READABLE = 'pictures.npy', 'readable.npy'
GB = 1e9

# Decodes pictures into the rows of uint8 [N, H, W, C]; bool [N]: which could be.
Fill = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


def default_folder() -> Path:
    """Where files go that nobody has chosen a place for (XDG base directories)."""
    return Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / (
        'uav_prune_perception/pictures'
    )


@dataclass(frozen=True)
class PictureStore:
    """The pictures of one split.

    Attributes:
        key: hex digest of everything that decides their pixels.
        folder: of mapped files; None: memory, and the default folder where that is short.
    """

    key: str
    folder: Path | None = None

    def take(
        self, name: str, shape: tuple[int, int, int, int], fill: Fill
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The pictures that can be read, one after the other, and which of all they are.

        Args:
            name: of the split.
            shape: N, H, W, C of all.
            fill: is called unless an earlier call has left a file.

        Returns:
            uint8 [n, H, W, C], read-only where mapped; bool [N], n of them true.

        Raises:
            DatasetError: neither memory nor disk has room, or the folder cannot be written.
        """
        size, free = math.prod(shape), available_bytes()
        if self.folder is None and not size > MEMORY_SHARE * free:  # also where nothing is known
            images = np.empty(shape, np.uint8)
            readable = _filled(images, fill)
            return images[:np.count_nonzero(readable)], readable
        folder = self.folder or default_folder()
        target = folder / f'{self.key}-{name}'
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f'{target.name}.lock').open('w') as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one writes
                if not target.is_dir():
                    if self.folder is None:
                        LOGGER.warning(
                            '%s: %.1f GB of pictures, with %.1f GB of memory free: kept in %s; '
                            'data.cache chooses the place', name, size / GB, free / GB, folder,
                        )
                    _write(target, shape, fill)
            readable = np.load(target / READABLE)
            images = np.load(target / PICTURES, mmap_mode='r')
        except (OSError, ValueError) as error:
            if isinstance(error, DatasetError):
                raise
            reason = (error.strerror if isinstance(error, OSError) else '') or error
            raise DatasetError(
                f'data.cache: {target}: {reason}; name another folder, or remove that one'
            ) from None
        return np.asarray(images)[:np.count_nonzero(readable)], readable


def _filled(images: NDArray[np.uint8], fill: Fill) -> NDArray[np.bool_]:
    readable = fill(images)
    for row, place in enumerate(np.flatnonzero(readable)):
        if row != place:
            images[row] = images[place]
    return readable


def _write(target: Path, shape: tuple[int, int, int, int], fill: Fill) -> None:
    """Whole or not at all, for whoever comes later."""
    size, free = math.prod(shape), shutil.disk_usage(target.parent).free
    if size > free:
        raise DatasetError(
            f'data.cache: {target.parent}: has {free / GB:.1f} GB free, the pictures take '
            f'{size / GB:.1f} GB; name a folder with more room, or set data.train_limit'
        )
    staging = target.with_name(f'.{target.name}.partial')
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
    staging.mkdir()
    try:
        path = staging / PICTURES
        images = np.lib.format.open_memmap(path, mode='w+', dtype=np.uint8, shape=shape)
        with path.open('r+b') as file:  # a full disk is an error now, not a bus error later
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        np.save(staging / READABLE, _filled(images, fill))
        images.flush()
        for written in (path, staging / READABLE, staging):
            flush(written)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
