# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading kernel files that may be missing, forbidden, asleep or garbage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path


def read_text(path: Path) -> str:
    """Content without surrounding blanks and NULs; '' when it cannot be read for any reason.

    A rail or a sensor that sleeps answers EAGAIN or EIO; RAPL answers EACCES to non-root.
    """
    try:
        return path.read_bytes().decode('utf-8', 'replace').strip('\x00 \t\r\n')
    except OSError:
        return ''


def read_number(path: Path, scale: float = 1.0) -> float:
    """The number in the file times ``scale``; nan when there is none."""
    try:
        value = float(read_text(path))
    except ValueError:
        return math.nan
    return value * scale if math.isfinite(value) else math.nan


def matching(root: Path, *patterns: str) -> Iterator[Path]:
    """Paths under ``root`` that match, in order, each real place once; links are followed.

    ``hwmonN`` and friends are numbered in the order of probing: always look by pattern.
    """
    seen = set()
    for pattern in patterns:
        for path in _sorted_glob(root, pattern):
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield path


def _sorted_glob(root: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(root.glob(pattern))
    except OSError:  # vanished while looking
        return []
