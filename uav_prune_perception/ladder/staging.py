# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The hidden folder in which a ladder grows, and what killed writers left of theirs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


class Staging:
    """A new hidden folder beside ``target``, locked as long as its writer lives.

    A kill leaves the folder behind but takes the lock away, so that the next writer of the same
    target can tell a leftover (and removes it) from the folder of a writer at work.
    """

    def __init__(self, target: Path) -> None:
        """Make the folder.

        Raises:
            OSError: the parent cannot be written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f'.{target.name}.partial-'
        with _locked(target.parent):  # nobody looks between making the folder and locking it
            for leftover in sorted(target.parent.iterdir()):
                if leftover.name.startswith(prefix):
                    _remove_if_dead(leftover)
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
            self._handle: int | None = _lock(self.path)
        self.path.chmod(0o755)

    def remove(self) -> None:
        """Remove the folder, unless it was renamed; may be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _remove_if_dead(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = _lock(folder, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path, wait: bool = False) -> int | None:
    """A handle that holds the lock; None where the file system has no locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle
