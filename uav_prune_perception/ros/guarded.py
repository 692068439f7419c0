# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Callbacks that do not take the process down with them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, ParamSpec

P = ParamSpec('P')


def guarded(callback: Callable[P, Any], logger: Any) -> Callable[P, Any]:
    """A callback that logs what is raised in it instead of raising it, and then gives None.

    An exception out of a callback would end the executor, and with it the perception of a flying
    drone, because of, say, one odd reading. The same fault is logged once in a row.
    """
    last = ''

    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        nonlocal last
        try:
            return callback(*args, **kwargs)
        except Exception:
            text = traceback.format_exc()
            if text != last:
                logger.error(f'a callback broke, the flight goes on:\n{text}')
            last = text
            return None

    return call
