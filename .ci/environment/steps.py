# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of the bootstrap: what is done now, a log, and its end when a step fails."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

LINES_SHOWN = 15
QUIET_S = 15.0  # without a terminal, a sign of life this often


class BootstrapError(Exception):
    """What is wrong and how to mend it, ready to print."""


class Steps:
    """One line per step: what is done now, and for how long already."""

    def __init__(self, log: Path, folder: Path) -> None:
        self.log, self.folder = log, folder
        self._start = self._shown = time.monotonic()

    def begin(self, text: str) -> None:
        """Say what is done now."""
        self._shown = time.monotonic()
        print(f'[{self._shown - self._start:4.0f} s] {text}', flush=True)

    def sign_of_life(self, text: str) -> None:
        """Show that a long step still moves."""
        now = time.monotonic()
        line = f'[{now - self._start:4.0f} s]   {text}'
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f'\r{line[:width]:<{width}}\r', end='', flush=True)
        elif now - self._shown >= QUIET_S:
            self._shown = now
            print(line[:100], flush=True)

    def run(self, command: list[str], what: str) -> None:
        """Run a long command, its output into the log.

        Raises:
            BootstrapError: it failed; with the last lines of the log.
        """
        start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open('ab') as stream:
            stream.write(f'$ {" ".join(command)}\n'.encode())
            stream.flush()
            process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=clean_environment(), cwd=str(self.folder),
            )
            try:
                while True:
                    try:
                        code = process.wait(timeout=1.0)
                        break
                    except subprocess.TimeoutExpired:
                        self.sign_of_life(last_lines(self.log, 1, start))
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if sys.stdout.isatty():
            self.sign_of_life('')
        if code != 0:
            tail = last_lines(self.log, LINES_SHOWN, start)
            raise BootstrapError(f'{tail}\n{what} failed; the whole log is {self.log}{hint()}')


def clean_environment() -> dict[str, str]:
    """Ours without what another Python or another ROS 2 has left in it."""
    environment = dict(os.environ)
    if environment.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None):
        environment.pop('LD_LIBRARY_PATH', None)  # of the other environment's wheels
    for name in ('PYTHONPATH', 'PYTHONHOME', 'RMW_IMPLEMENTATION'):
        environment.pop(name, None)
    return environment


def hint() -> str:
    """What is known to go wrong on this kind of machine."""
    if platform.machine() in ('x86_64', 'AMD64'):
        return ''
    return f' (the ROS 2 wheels on PyPI are for x86-64, this is {platform.machine()})'


def last_lines(log: Path, count: int, start: int = 0) -> str:
    """The last lines of the log after position ``start``, without pip's small talk."""
    with log.open('rb') as stream:
        stream.seek(max(start, log.stat().st_size - 20_000))
        text = stream.read().decode(errors='replace')
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith((' ', 'WARNING: '))] or lines
    return '\n'.join(lines[-count:])
