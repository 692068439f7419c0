# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts test/ on the path, so that every room can use ``tiny_ladder``; runs fast tests first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Little networks are no faster on two threads, and on a busy machine far slower.
os.environ.setdefault('OMP_NUM_THREADS', '1')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Plain tests, then slow ones, then those over DDS; the order within each stays."""
    items.sort(key=lambda item: (bool(item.get_closest_marker('dds')),
                                 bool(item.get_closest_marker('slow'))))
