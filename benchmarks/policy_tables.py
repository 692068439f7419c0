# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's figures as markdown tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from policy_pilots import BOUND, ORACLE, OURS

from uav_prune_perception.onboard.simulation import SCENARIOS, Metrics, compare

Flights = dict[tuple[str, str], list[Metrics]]
RIVALS = ('ALERT as published', 'hysteresis', 'PID', 'frame skipping only')
CAP = {'S0': 0.01, 'S1': 0.05, 'S1m': 0.05, 'S2': 0.05, 'S3': 0.05}
COMPARED = 0.95


def tables(flights: Flights, origin: str, seeds: int, duration_s: float) -> str:
    """All tables of one run."""
    scenarios = list(dict.fromkeys(name for name, _ in flights))
    head = f'Trace: {origin}. {seeds} seeds of {duration_s:.0f} s each.\n'
    return '\n'.join([
        head, _goals(flights, scenarios), _scores(flights, scenarios),
        _rivals(flights, scenarios), *(_details(flights, name) for name in scenarios),
    ])


def mean(metrics: list[Metrics], figure: str) -> float:
    """Over the seeds; nan values left out."""
    values = [getattr(one, figure) for one in metrics]
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _goals(flights: Flights, scenarios: list[str]) -> str:
    """Ours against the goals of the issue; bold = missed."""
    lines = [
        f'### {OURS} against its goals (bold = missed)', '',
        '| scenario | score against oracle, >= -2 % | bound | energy against oracle, <= +3 % '
        '| late frames '
        '| over limits | stated - kept, points | 95 % bound held | switches/min, <= 6 '
        '| recovery, <= 1 s |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name in scenarios:
        ours, oracle = flights[name, OURS], flights[name, ORACLE]
        score = mean(ours, 'score') / mean(oracle, 'score') - 1
        bound_score = mean(flights[name, BOUND], 'score') / mean(oracle, 'score') - 1
        energy = mean(ours, 'energy_j') / mean(oracle, 'energy_j') - 1
        late, limits = mean(ours, 'violations'), mean(ours, 'limit_violations')
        stated = mean(ours, 'stated') - mean(ours, 'kept')
        bound = mean(ours, 'covered')
        switches, recovery = mean(ours, 'switches_per_min'), mean(ours, 'recovery_s')
        cells = [
            _cell(f'{score:+.2%}', score < -0.02), f'{bound_score:+.2%}',
            _cell(f'{energy:+.1%}', energy > 0.03),
            _cell(f'{late:.2%}', late > CAP.get(name, 1.0)), f'{limits:.2%}',
            _cell(f'{100 * stated:+.2f}', abs(stated) > 0.01),
            _cell(f'{bound:.1%}', abs(bound - COMPARED) > 0.01),
            _cell(f'{switches:.1f}', switches > 6),
            '-' if math.isnan(recovery) else _cell(f'{recovery:.2f} s', recovery > 1),
        ]
        lines.append(f'| {name} {SCENARIOS[name][0]} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _scores(flights: Flights, scenarios: list[str]) -> str:
    pilots = list(dict.fromkeys(pilot for _, pilot in flights))
    best = {name: _best_static(flights, name) for name in scenarios}
    lines = ['### Score (0..1, mean over seeds)', '', '| policy | ' + ' | '.join(scenarios) + ' |',
             '|---|' + '---|' * len(scenarios)]
    for pilot in pilots:
        row = [f'{mean(flights[name, pilot], "score"):.3f}' for name in scenarios]
        lines.append(f'| {pilot} | ' + ' | '.join(row) + ' |')
    row = [f'{mean(flights[name, best[name]], "score"):.3f} ({best[name].split()[-1]})'
           for name in scenarios]
    lines.append('| best static in hindsight | ' + ' | '.join(row) + ' |')
    return '\n'.join(lines) + '\n'


def _best_static(flights: Flights, name: str) -> str:
    found = [pilot for scenario, pilot in flights
             if scenario == name and pilot.startswith('static')]
    return max(found, key=lambda pilot: mean(flights[name, pilot], 'score'))


def _rivals(flights: Flights, scenarios: list[str]) -> str:
    lines = [
        f'### {OURS} minus rival: score, with 95 % paired bootstrap interval', '',
        '| scenario | ' + ' | '.join([*RIVALS, 'best static in hindsight']) + ' |',
        '|---|' + '---|' * (len(RIVALS) + 1),
    ]
    for name in scenarios:
        ours = [one.score for one in flights[name, OURS]]
        row = []
        for rival in [*RIVALS, _best_static(flights, name)]:
            found = compare(ours, [one.score for one in flights[name, rival]])
            verdict = 'better' if found.better else 'WORSE' if found.worse else 'same'
            row.append(f'{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] {verdict}')
        lines.append(f'| {name} | ' + ' | '.join(row) + ' |')
    return '\n'.join(lines) + '\n'


COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ('score', 'score', lambda v: f'{v:.4f}'),
    ('raw score', 'raw_score', lambda v: f'{v:.4f}'),
    ('accuracy on time', 'on_time_accuracy', lambda v: f'{v:.4f}'),
    ('late', 'violations', lambda v: f'{v:.2%}'),
    ('over limits', 'limit_violations', lambda v: f'{v:.2%}'),
    ('age p50 / ms', 'p50_ms', lambda v: f'{v:.1f}'),
    ('p95', 'p95_ms', lambda v: f'{v:.1f}'),
    ('p99', 'p99_ms', lambda v: f'{v:.1f}'),
    ('pushed out', 'replaced', lambda v: f'{v:.1%}'),
    ('skipped', 'skipped', lambda v: f'{v:.1%}'),
    ('energy / J', 'energy_j', lambda v: f'{v:.0f}'),
    ('J/frame', 'joules_per_frame', lambda v: f'{v:.3f}'),
    ('switches/min', 'switches_per_min', lambda v: f'{v:.1f}'),
    ('recovery / s', 'recovery_s', lambda v: '-' if math.isnan(v) else f'{v:.2f}'),
    ('mean level', 'mean_level', lambda v: f'{v:.2f}'),
)


def _details(flights: Flights, name: str) -> str:
    lines = [f'#### {name}: {SCENARIOS[name][0]}', '',
             '| policy | ' + ' | '.join(title for title, _, _ in COLUMNS) + ' |',
             '|---|' + '---|' * len(COLUMNS)]
    for (scenario, pilot), metrics in flights.items():
        if scenario == name:
            row = [show(mean(metrics, figure)) for _, figure, show in COLUMNS]
            lines.append(f'| {pilot} | ' + ' | '.join(row) + ' |')
    return '\n'.join(lines) + '\n'


def _cell(text: str, missed: bool) -> str:
    return f'**{text}**' if missed else text
