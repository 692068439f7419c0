# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command ``perception_node``: told to end while it is still being imported, it just ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end; the exit code.

    Importing ROS and OpenCV takes a second. A signal would be a traceback there, or death by that
    signal; as nothing is open yet, the process may end on the spot. `process.run` handles signals
    from then on.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    from . import perception_node

    return perception_node.main(args)


def _end(number: int, frame: Any) -> None:
    os._exit(0)


if __name__ == '__main__':
    sys.exit(main())
