# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The live view of the flight: one panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from uav_prune_perception.ladder import Ladder
from uav_prune_perception.report.flight_record import FlightRecord, LevelChange

if TYPE_CHECKING:
    from .ground_station import GroundStation

LINE_EVERY_S = 5.0
CHANGES_SHOWN = 6


class FlightScreen:
    """Shows which level runs and why, while it happens."""

    def __init__(self, console: Console, ladder: Ladder, duration_s: float) -> None:
        self._console, self._ladder, self._duration = console, ladder, duration_s
        self._live = Live(console=console, refresh_per_second=5) if console.is_terminal else None
        self._changes_printed = 0
        self._next_line = 0.0

    def __enter__(self) -> FlightScreen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tick(self, station: GroundStation, phase: str) -> None:
        """Show the moment."""
        if self._live is not None:
            self._live.update(self._panel(station, phase))
        else:
            self._lines(station, phase)

    def _lines(self, station: GroundStation, phase: str) -> None:
        record = station.record
        for change in record.levels[self._changes_printed:]:
            self._print(_change_text(change))
        self._changes_printed = len(record.levels)
        if station.flight_time_s >= self._next_line:
            self._next_line += LINE_EVERY_S
            self._print(_line(record, station, phase))

    def _print(self, line: str) -> None:
        self._console.print(f'  {line}', highlight=False, markup=False)

    def _panel(self, station: GroundStation, phase: str) -> Panel:
        record, now = station.record, station.flight_time_s
        told = record.telemetry[-1]
        rungs = Text('level    ')
        for level in self._ladder.levels:
            active = level.name == station.level
            rungs.append(f' {level.name} ', style='bold black on green' if active else 'dim')
        grid = Table.grid(padding=(0, 2))
        grid.add_row('flight', ProgressBar(total=self._duration, completed=now, width=40),
                     f'{now:4.0f} of {self._duration:.0f} s   {phase}')
        grid.add_row('battery', _bar(told.battery_fraction, 'green'),
                     f'{100 * told.battery_fraction:3.0f} %')
        if not math.isnan(told.load):
            grid.add_row('board', _bar(told.load, 'yellow'),
                         f'{100 * told.load:3.0f} %   {told.power_w:.1f} W   '
                         f'{told.temperature_c:.0f} °C   {told.burners} burners on our cores')
        history = Table.grid(padding=(0, 1))
        for change in record.levels[-CHANGES_SHOWN:]:
            history.add_row(_change_text(change))
        body = Group(rungs, grid, Text(_latency(record)), Text('why', style='bold'), history)
        return Panel(body, title=record.title, border_style='green')


def _bar(fraction: float, style: str) -> ProgressBar:
    return ProgressBar(total=1.0, completed=fraction, width=40, complete_style=style)


def _latency(record: FlightRecord) -> str:
    recent = sorted(frame.age_ms for frame in record.frames[-30:])
    if not recent:
        return 'latency   no detections yet'
    objects = record.frames[-1].detections
    return (
        f'latency   image to detection p50 {recent[len(recent) // 2]:.0f} ms, worst of 30 '
        f'{recent[-1]:.0f} ms; {len(record.frames)} of {record.frames_sent} frames answered; '
        f'{objects} objects now'
    )


def _change_text(change: LevelChange) -> str:
    return f'{change.t_s:5.1f} s  {change.previous or "start"} → {change.level}: {change.reason}'


def _line(record: FlightRecord, station: GroundStation, phase: str) -> str:
    told = record.telemetry[-1]
    return (
        f'{station.flight_time_s:5.1f} s  [{phase}] level {station.level or "?"}, battery '
        f'{100 * told.battery_fraction:.0f} %, {told.burners} burners; {_latency(record)[10:]}'
    )
