# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The one error of this room."""

from __future__ import annotations


class ChannelError(ValueError):
    """A network cannot be traced, planned, compacted or rebuilt as asked. One line to print."""
