# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of each component (REP-107): words for people, numbers for tools."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from ..onboard.state import Health, LevelState
from ..onboard.statistics import CameraSnapshot, StatisticsSnapshot
from .board_diagnostics import BoardView, power_finding, thermal_finding
from .status import status

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE
COUNTERS = (
    'received', 'processed', 'replaced', 'stale', 'failed', 'skipped', 'waiting', 'in_work',
    'callback_errors', 'switches', 'engine_runs',
)
CAMERA_COUNTERS = COUNTERS[:-3]
SLOW_S, SLOW_FACTOR = 1.0, 3.0  # an image is slow after this, and this times the p99


@dataclass(frozen=True)
class InputView:
    """What is known of one camera's topic.

    Attributes:
        camera: its name; '' where there is only one.
        topic: its full name.
        publishers: how many there are now.
        silent_s: since the last image or, without any, since activation; nan while inactive.
        timeout_s: the longest silence that is fine.
        recent_failure: reason of a failure in the last seconds, else ''.
        listening: subscribed; false while inactive, and while nobody wants the results of an
            ``input.lazy`` node.
    """

    camera: str
    topic: str
    publishers: int
    silent_s: float
    timeout_s: float
    recent_failure: str
    listening: bool = True


@dataclass(frozen=True)
class FlightView:
    """What is known of a configured node."""

    statistics: StatisticsSnapshot
    health: Health
    level: LevelState
    board: BoardView
    inputs: tuple[InputView, ...]


@dataclass(frozen=True)
class Reporter:
    """Makes the statuses of one node; ``name`` and ``hardware`` are in each of them."""

    name: str
    hardware: str

    def components(self, state: str, flight: FlightView | None) -> list[DiagnosticStatus]:
        """One status per component; without a flight, the node says that it waits."""
        if flight is None:
            return [
                self._status(part, OK, f'{state}: no ladder loaded', {'state': state})
                for part in ('inference', 'ladder', 'power', 'thermal', 'input')
            ]
        return [
            self._inference(state, flight), self._ladder(flight),
            self._status('power', *power_finding(flight.board)),
            self._status('thermal', *thermal_finding(flight.board)),
            *(self._input(state, flight, view) for view in flight.inputs),
        ]

    def camera_stats(self, name: str, camera: CameraSnapshot) -> DiagnosticStatus:
        """The ``~/<camera>/stats`` message: what became of one camera's frames."""
        values: dict[str, object] = {key: getattr(camera, key) for key in CAMERA_COUNTERS}
        for figure in ('mean', 'p50', 'p95', 'p99'):
            values[f'age_{figure}_ms'] = getattr(camera.age_ms, figure)
        values['last_failure'] = camera.last_failure
        text = f'{camera.processed} images processed'
        return self._status(f'stats {name}', OK, text, values)

    def stats(self, snapshot: StatisticsSnapshot, rate_hz: float) -> DiagnosticStatus:
        """The ``~/stats`` message: every counter, every stage's times."""
        values: dict[str, object] = {name: getattr(snapshot, name) for name in COUNTERS}
        values['rate_hz'] = rate_hz
        for stage, times in {**snapshot.stages_ms, 'age': snapshot.age_ms}.items():
            for figure in ('mean', 'p50', 'p95', 'p99'):
                values[f'{stage}_{figure}_ms'] = getattr(times, figure)
        for level, frames in snapshot.level_frames.items():
            values[f'level_{level}_frames'] = frames
            values[f'level_{level}_s'] = snapshot.level_time_s[level]
        values['last_failure'] = snapshot.last_failure
        return self._status('stats', OK, f'{snapshot.processed} images processed', values)

    def _inference(self, state: str, flight: FlightView) -> DiagnosticStatus:
        s, health = flight.statistics, flight.health
        values: dict[str, object] = {name: getattr(s, name) for name in COUNTERS}
        for stage in ('inference', 'total'):
            for figure in ('p50', 'p95', 'p99'):
                values[f'{stage}_{figure}_ms'] = getattr(s.stages_ms[stage], figure)
        values |= {'age_p50_ms': s.age_ms.p50, 'age_p99_ms': s.age_ms.p99, 'state': state}
        values |= {'in_work_s': s.in_work_s, 'last_error': health.last_error}
        if not health.ok:
            message = health.last_error or 'no usable level'
            return self._status('inference', ERROR, message, values)
        if s.callback_errors:
            return self._status('inference', WARN, health.last_error, values)
        message = state
        times = s.stages_ms['total']
        usual_s = 0.0 if math.isnan(times.p99) else times.p99 / 1e3
        if s.in_work_s > max(SLOW_S, SLOW_FACTOR * usual_s):
            text = f'no answer of the engine for {s.in_work_s:.1f} s'
            return self._status('inference', WARN, text, values)
        if state == 'active':
            message = f'p95 {times.p95:.1f} ms' if times.n else 'no image processed yet'
        return self._status('inference', OK, message, values)

    def _ladder(self, flight: FlightView) -> DiagnosticStatus:
        health, level = flight.health, flight.level
        values: dict[str, object] = {
            'level': level.name, 'index': level.index, 'code': level.code,
            'forced': int(level.forced), 'every': level.every,
            'switches': flight.statistics.switches, 'usable': ', '.join(health.usable),
            'not_in_memory': ', '.join(health.not_in_memory),
        }
        values |= {f'failed_{name}': reason for name, reason in health.failed.items()}
        if not health.ok:
            return self._status('ladder', ERROR, 'no usable level is left', values)
        if health.failed:
            broken = ', '.join(health.failed)
            message = f'level {level.name}: {level.reason}; out of use: {broken}'
            return self._status('ladder', WARN, message, values)
        return self._status('ladder', OK, f'level {level.name}: {level.reason}', values)

    def _input(self, state: str, flight: FlightView, view: InputView) -> DiagnosticStatus:
        s = flight.statistics.cameras[view.camera]
        part = f'input {view.camera}' if view.camera else 'input'
        values: dict[str, object] = {
            'topic': view.topic, 'publishers': view.publishers, 'silent_s': view.silent_s,
            'received': s.received, 'failed': s.failed, 'stale': s.stale,
            'last_failure': s.last_failure,
        }
        if state != 'active':
            return self._status(part, OK, state, values)
        if not view.listening:
            text = 'nobody subscribes to the results: not listening (input.lazy)'
            return self._status(part, OK, text, values)
        if view.silent_s > view.timeout_s:
            if not view.publishers:
                return self._status(part, WARN, f'nobody publishes {view.topic}', values)
            message = f'no image on {view.topic} for {view.silent_s:.1f} s'
            return self._status(part, STALE, message, values)
        if view.recent_failure:
            return self._status(part, WARN, view.recent_failure, values)
        return self._status(part, OK, f'images on {view.topic}', values)

    def _status(
        self, part: str, level: bytes, message: str, values: dict[str, object]
    ) -> DiagnosticStatus:
        return status(f'{self.name}: {part}', level, message, values, self.hardware)
