# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The errors of this room."""

from __future__ import annotations


class ChannelError(ValueError):
    """A network cannot be traced, planned, compacted or rebuilt as asked. One line to print."""


class ForwardError(ChannelError):
    """The forward of a compact network fails; ``module`` is the path of what was running."""

    def __init__(self, text: str, module: str) -> None:
        super().__init__(text)
        self.module = module


def first_line(error: object) -> str:
    """The first line of an exception's text; its kind where it says nothing (a bare assert)."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
