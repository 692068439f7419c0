# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Put a finished folder in the place of an old one, at once."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

from .durable import flush

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def swap_in(staging: Path, target: Path) -> None:
    """Rename ``staging`` to ``target``; what was at ``target`` is removed.

    Where the kernel and the file system can exchange two names, there is no moment without a
    ladder at ``target``. Elsewhere there is a short one, between two renames, and whatever
    fails then puts the old one back.

    Raises:
        OSError: the target is as it was.
    """
    if not target.exists() and not target.is_symlink():
        staging.rename(target)
        flush(target.parent)
        return
    if exchange(staging, target):
        flush(target.parent)
        _remove(staging)  # the old one bears this name now
        return
    old = Path(tempfile.mkdtemp(prefix=f'.{target.name}.replaced-', dir=target.parent))
    try:
        target.rename(old / 'ladder')
        try:
            staging.rename(target)
        except OSError:
            (old / 'ladder').rename(target)
            raise
        flush(target.parent)
    finally:
        if target.exists():  # never remove the only ladder there is
            shutil.rmtree(old, ignore_errors=True)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step (Linux renameat2); False where that cannot be done."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    done = call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return int(done) == 0


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
