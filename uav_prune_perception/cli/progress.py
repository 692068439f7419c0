# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How a long job shows itself: a live bar in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# A log file gets at most one progress line in so many seconds.
PLAIN_INTERVAL_S = 10.0


class LiveReporter:
    """Bar with phase, text, time spent and time left; results stay above it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn('[bold]{task.description}'), BarColumn(bar_width=24),
            TextColumn('{task.percentage:>3.0f} %'), TextColumn('{task.fields[text]}'),
            TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn(),
            console=console, transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> LiveReporter:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def phase(self, title: str, steps: int) -> None:
        """Replace the bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(escape(title), total=max(steps, 1), text='')

    def step(self, done: int, text: str = '') -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, text=escape(text))

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(escape(text), highlight=False)

    def warn(self, text: str) -> None:
        """A line above the bar that stands out."""
        self._progress.console.print(f'[yellow]warning:[/yellow] {escape(text)}', highlight=False)


class PlainReporter:
    """One line for each phase, each result, and now and then in between."""

    def __init__(self) -> None:
        self._title = ''
        self._steps = 1
        self._started = self._told = time.monotonic()

    def __enter__(self) -> PlainReporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def phase(self, title: str, steps: int) -> None:
        """A line with the title."""
        self._title, self._steps = title, max(steps, 1)
        self._started = self._told = time.monotonic()
        print(f'{title} ...', flush=True)

    def step(self, done: int, text: str = '') -> None:
        """A line if the last one is long ago."""
        now = time.monotonic()
        if now - self._told < PLAIN_INTERVAL_S or not done:
            return
        self._told = now
        left = (now - self._started) * (self._steps - done) / done
        share = 100 * done / self._steps
        print(f'{self._title}: {share:.0f} %, {text}, {left:.0f} s left', flush=True)

    def note(self, text: str) -> None:
        """A line."""
        print(text, flush=True)

    def warn(self, text: str) -> None:
        """A line."""
        print(f'warning: {text}', flush=True)


class SilentReporter(PlainReporter):
    """Of a process that is not the first of its job: the first says the same."""

    def phase(self, title: str, steps: int) -> None:
        """Nothing."""

    def step(self, done: int, text: str = '') -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""


def reporter(console: Console, *, first: bool = True) -> LiveReporter | PlainReporter:
    """The one that fits where the output goes."""
    if not first:
        return SilentReporter()
    return LiveReporter(console) if console.is_terminal else PlainReporter()
