# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a long benchmark: claimed by one process, appended as whole lines, found again."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def claimed(key: str, work: Path) -> Iterator[bool]:
    """True for one process at a time; a killed one lets go."""
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    with (work / f'{name}.claim').open('w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Waits until no other process holds the lock; a killed one holds none."""
    with lock.open('w') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def append(lines: Path, row: dict[str, Any]) -> None:
    """One whole line, on disk before the next run begins."""
    with lines.open('a', encoding='utf-8') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(json.dumps(row) + '\n')
        stream.flush()
        os.fsync(stream.fileno())


def read_rows(lines: Path) -> list[dict[str, Any]]:
    """The finished runs, the last of each key; a line that a power cut left half is not one."""
    rows: dict[str, dict[str, Any]] = {}
    for line in lines.read_text('utf-8').splitlines() if lines.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            rows[row['key']] = row
    return list(rows.values())


def spread(workers: int) -> None:
    """The same command in several processes, which take turns at the runs."""
    command = [*sys.orig_argv, '--workers', '1']
    environment = {**os.environ, 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')}
    processes = [subprocess.Popen(command, env=environment) for _ in range(workers)]
    failed = [process.wait() for process in processes]
    if any(failed):
        print(f'workers ended with {failed}', file=sys.stderr)


@functools.cache
def commit() -> str:
    """Of the code that runs; with a plus where files were changed since."""
    git = ('git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty=+')
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
