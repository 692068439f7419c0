# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune simulate``: policies side by side through one scenario of the simulator."""

from __future__ import annotations

import argparse
import dataclasses
import math
from typing import TYPE_CHECKING, Any

from .strict_json import strict_json

if TYPE_CHECKING:
    from uav_prune_perception.onboard.simulation import LatencyTrace, Metrics, World

ORACLE, BOUND = 'oracle', 'load_only'
HEAVIEST_MS = 22.0  # the scenarios have a deadline of 30 ms at 30 Hz
COLUMNS = (
    ('score', 'score', '{:.4f}'), ('late', 'violations', '{:.2%}'),
    ('over limits', 'limit_violations', '{:.2%}'), ('p50 ms', 'p50_ms', '{:.1f}'),
    ('p99 ms', 'p99_ms', '{:.1f}'), ('energy J', 'energy_j', '{:.0f}'),
    ('skipped', 'skipped', '{:.1%}'), ('switches/min', 'switches_per_min', '{:.1f}'),
    ('recovery s', 'recovery_s', '{:.2f}'), ('mean level', 'mean_level', '{:.2f}'),
)


def run_simulate(options: argparse.Namespace) -> int:
    """Fly and print. Raises ValueError naming the option that cannot be."""
    from uav_prune_perception.onboard.simulation import SCENARIOS, make_world, measure

    if options.list:
        for name, (text, _) in SCENARIOS.items():
            print(f'{name:4s} {text}')
        return 0
    if not 10 <= options.duration <= 3600:
        raise SimulateUsageError(f'--duration is {options.duration:g}, must be 10 to 3600 seconds')
    if options.seed < 0:
        raise SimulateUsageError(f'--seed is {options.seed}, must not be negative')
    names = [ORACLE, *_names(options.policies)]
    try:
        trace = _trace(options)
        world = make_world(options.scenario, trace, options.seed, options.duration)
    except ValueError as error:
        raise SimulateUsageError(str(error)) from None
    found = {}
    for name in names:
        log = _fly(world, name, options.max_every)
        found[name] = (measure(world, log), log.codes)
    if options.json:
        print(strict_json(_document(options, trace, world, found), indent=2))
        return 0
    print(f'{options.scenario}: {SCENARIOS[options.scenario][0]}; {trace.origin}; '
          f'{options.duration:g} s, seed {options.seed}\n')
    print(_table({name: metrics for name, (metrics, _) in found.items()}))
    return 0


class SimulateUsageError(ValueError):
    """The command was given something that it cannot use. One line, ready to print."""


def _trace(options: argparse.Namespace) -> LatencyTrace:
    from uav_prune_perception.onboard.simulation import made_up_trace, read_trace

    if options.trace is None:
        return made_up_trace(options.seed, frames=int(options.duration * 30))
    return read_trace(options.trace).scaled(HEAVIEST_MS)


def _names(text: str) -> list[str]:
    from uav_prune_perception.onboard.policy import POLICIES

    names = [name.strip() for name in text.split(',') if name.strip() not in {'', ORACLE}]
    for name in names:
        if name != BOUND and name not in POLICIES:
            known = ', '.join([*POLICIES, ORACLE, BOUND])
            raise SimulateUsageError(f'--policies: no policy "{name}"; there are {known}')
    return names


def _fly(world: World, name: str, max_every: int) -> Any:
    from uav_prune_perception.onboard.policy import POLICIES, make_policy
    from uav_prune_perception.onboard.simulation import LOAD_ONLY, best_schedule, fly

    if name == ORACLE:
        return fly(world, best_schedule(world))
    if name == BOUND:
        return fly(world, best_schedule(world, LOAD_ONLY))
    known = {item.name for item in dataclasses.fields(POLICIES[name][1])}
    settings = {'max_every': max_every, **world.settings}
    return fly(world, make_policy(name, **{k: v for k, v in settings.items() if k in known}))


def _table(found: dict[str, Metrics]) -> str:
    width = max(len(name) for name in found) + 2
    head = ''.join(f'{title:>14s}' for title, _, _ in COLUMNS)
    lines = [f'{"policy":{width}s}{head}{"to oracle":>12s}']
    best = found[ORACLE].score
    for name, metrics in found.items():
        cells = ''
        for _, figure, form in COLUMNS:
            value = getattr(metrics, figure)
            cells += f'{"-" if math.isnan(value) else form.format(value):>14s}'
        ratio = f'{metrics.score / best - 1:+.2%}' if best > 0 else '-'
        lines.append(f'{name:{width}s}{cells}{ratio:>12s}')
    return '\n'.join(lines)


def _document(
    options: argparse.Namespace, trace: LatencyTrace, world: World,
    found: dict[str, tuple[Metrics, list[tuple[float, str, int, str]]]],
) -> dict[str, Any]:
    return {
        'scenario': options.scenario, 'trace': trace.origin, 'seed': options.seed,
        'duration_s': options.duration, 'levels': [level.name for level in world.levels],
        'policies': {
            name: {
                'metrics': dataclasses.asdict(metrics),
                'changes': [
                    {'t_s': round(t, 3), 'code': code, 'level': world.levels[level].name,
                     'reason': reason}
                    for t, code, level, reason in changes
                ],
            }
            for name, (metrics, changes) in found.items()
        },
    }
