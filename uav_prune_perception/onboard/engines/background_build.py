# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune build`` in a process of its own, started by a node that may and lacks plans.

Building takes minutes, so no transition waits for it: the node goes on without TensorRT, says so,
and says when it is worth configuring again. The builder ends with the node.
"""

from __future__ import annotations

import atexit
import logging
import subprocess
import sys
import threading
from typing import IO

from ...ladder import Ladder

NICENESS = 10  # the flight comes first
_running: dict[tuple[str, str], subprocess.Popen[str]] = {}
_lock = threading.Lock()

log = logging.getLogger(__name__)


def build_in_background(ladder: Ladder, precision: str) -> None:
    """Start building the plans that are missing, unless that is under way.

    Args:
        ladder: whose plans.
        precision: 'fp32', 'fp16', 'int8_symmetric', or 'auto': all that the ladder has.
    """
    key = (str(ladder.folder), 'all' if precision == 'auto' else precision)
    with _lock:
        if key in _running:
            log.info('the plans are still being built')
            return
        process = subprocess.Popen(
            ['nice', '-n', str(NICENESS), *command(*key)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        _running[key] = process
    log.info('building plans in the background (engine.allow_build)')
    threading.Thread(
        target=_follow, args=(key, process), name='plan builder', daemon=True
    ).start()


def command(folder: str, precision: str) -> list[str]:
    """What is run."""
    return [
        sys.executable, '-m', 'uav_prune_perception.cli.main', 'build', folder,
        '--precision', precision,
    ]


def _follow(key: tuple[str, str], process: subprocess.Popen[str]) -> None:
    """Hand on what the builder says, and how it ended."""
    output: IO[str] | None = process.stdout
    last = ''
    for line in output or ():
        last = line.strip() or last
        log.info('plans: %s', line.strip())
    code = process.wait()
    with _lock:
        _running.pop(key, None)
    if code == 0:
        log.warning('the plans are built: clean up and configure again to fly TensorRT')
    else:
        log.error('the plans could not be built (exit code %d): %s', code, last)


@atexit.register
def _end() -> None:
    with _lock:
        for process in _running.values():
            process.terminate()
