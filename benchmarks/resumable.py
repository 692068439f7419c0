# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A long benchmark: its options, and rows claimed by one process, appended whole, found again."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from uav_prune_perception.onboard.telemetry.machine import device_name

RESULTS = Path(__file__).parent / 'results'
Row = dict[str, Any]


class Keyed(Protocol):
    """A run; its key is that of its line."""

    @property
    def key(self) -> str:
        """Of its line."""
        ...


AnyRun = TypeVar('AnyRun', bound=Keyed)


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


def append(lines: Path, row: Row) -> None:
    """One whole line, on disk before the next run begins."""
    with lines.open('a', encoding='utf-8') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(json.dumps(row) + '\n')
        stream.flush()
        os.fsync(stream.fileno())


def read_rows(lines: Path) -> list[Row]:
    """The finished runs, the last of each key; a line that a power cut left half is not one."""
    rows: dict[str, Row] = {}
    for line in lines.read_text('utf-8').splitlines() if lines.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            rows[row['key']] = row
    return list(rows.values())


def finish_runs(
    runs: Iterable[AnyRun], make_row: Callable[[AnyRun], Row], lines: Path,
    options: argparse.Namespace, minutes: float | None,
) -> None:
    """Every run that has no line yet and that no other process is at.

    Args:
        runs: in order.
        make_row: called for those that are missing.
        lines: where the rows go.
        options: of `arguments`.
        minutes: after these no run is begun.
    """
    options.work.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * minutes if minutes else float('inf')
    for run in runs:
        if time.monotonic() > until:
            print(f'{minutes:g} minutes are over', flush=True)
            return
        with claimed(run.key, options.work) as mine:
            rows = read_rows(lines)
            done = {row['key'] for row in rows if not options.retry or 'error' not in row}
            if mine and run.key not in done:
                append(lines, make_row(run))


def measured_row(
    about: Row, measure: Callable[[], Row], said: Callable[[Row], str]
) -> Row:
    """``about`` with the figures, or with the error that kept them away; printed in a line."""
    began = time.monotonic()
    row = {**about, 'torch': torch.__version__, 'commit': commit()}
    try:
        row.update(measure())
        text = said(row)
    except (ValueError, RuntimeError) as error:
        row['error'] = text = ' '.join(str(error).split())[:300] or type(error).__name__
    print(f'{row["key"]}: {text} ({time.monotonic() - began:.0f} s)', flush=True)
    return row


def conduct(
    options: argparse.Namespace, lines: Path, work: Callable[[], None],
    tables: Callable[[list[Row]], str], plot: Callable[[list[Row], Path], None],
) -> None:
    """Do the work, alone or in several processes, and write its table and its plot."""
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        if options.workers > 1:
            spread(options.workers)
        else:
            work()
    rows = read_rows(lines)
    text = tables(rows)
    lines.with_suffix('.md').write_text(text, encoding='utf-8')
    plot(rows, lines.with_suffix('.png'))
    print(text, end='')


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


def machine(device: str) -> str:
    """What it runs on; ends the program where the device is not there."""
    if device == 'cpu':
        return f'{device_name()} {platform.machine()}'
    if not torch.cuda.is_available():
        sys.exit(f'device {device}: there is no GPU; --device cpu tries it out without one')
    return str(torch.cuda.get_device_name())


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those options that were given, and that a setting has under the same name."""
    names = ('device', 'epochs', 'steps', 'seeds', 'first_seed', 'minutes', *names)
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def arguments(about: str, settings: Iterable[str]) -> argparse.ArgumentParser:
    """The options that the benchmarks of methods share."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    add = parser.add_argument
    add('--setting', choices=sorted(settings), default='cpu')
    add('--data', type=Path, default=Path('../shared/data'), help='folder of the data')
    add('--out', type=Path, default=RESULTS, help='folder of lines, table and plot')
    add('--work', type=Path, default=Path('.benchmark'), help='folder for dense networks')
    add('--workers', type=int, default=1, help='processes that share the runs')
    add('--only', nargs='*', default=[], metavar='WORD', help='methods with a word in the name')
    add('--seeds', type=int, help='how many')
    add('--first-seed', type=int)
    add('--epochs', type=int, help='of fine-tuning, in all')
    add('--steps', type=int, help='optimiser steps of an epoch')
    add('--minutes', type=float, help='begin no run after this')
    add('--device')
    add('--retry', action='store_true', help='run again what failed')
    add('--tables', action='store_true', help='only write table and plot anew')
    return parser
