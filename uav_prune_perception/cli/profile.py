# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune profile``: what the levels of a ladder cost on this machine. Runs on a drone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .strict_json import strict_json

if TYPE_CHECKING:
    from uav_prune_perception.ladder import DeviceProfile, Ladder



def run_profile(options: argparse.Namespace) -> int:
    """Measure, print, write.

    Raises:
        LadderError: the ladder is missing or damaged.
        EngineError: a level does not run.
    """
    from uav_prune_perception.ladder import LadderError, add_profiles, open_ladder
    from uav_prune_perception.onboard.profiling.ladder import faults, profile_ladder
    from uav_prune_perception.onboard.telemetry.machine import device_name

    ladder = open_ladder(options.ladder)
    precisions = None if options.precision == 'all' else (options.precision,)
    device = device_name()
    profiles = profile_ladder(
        ladder, engine=options.engine, precisions=precisions, threads=options.threads,
        cuda_graph=options.cuda_graph,
        runs=options.runs, tell=_tell,
    )
    if not options.dry_run:
        try:
            for precision, found in profiles.items():
                ladder = add_profiles(ladder, device, found, precision)
        except PermissionError:
            raise LadderError(
                f'{ladder.folder}: may not be written; repeat with --dry-run, or as its owner'
            ) from None
    if options.json:
        print(strict_json(_document(device, profiles), indent=1))
    else:
        _print_table(ladder, device, profiles)
    for line in faults(profiles):
        print(f'warning: {line}', file=sys.stderr)
    return 0


def _document(
    device: str, profiles: Mapping[str, Mapping[str, DeviceProfile]]
) -> dict[str, Any]:
    import dataclasses

    return {
        'device': device,
        'profiles': {
            precision: {name: dataclasses.asdict(profile) for name, profile in found.items()}
            for precision, found in profiles.items()
        },
    }


def _print_table(
    ladder: Ladder, device: str, profiles: Mapping[str, Mapping[str, DeviceProfile]]
) -> None:
    print(f'{device}')
    head = ('level', 'precision', 'accuracy', 'p50 ms', 'p95', 'p99', 'of fp32 top', 'kept MACs',
            'frames/s', 'mJ/frame', 'MiB')
    rows = [head]
    first = next(iter(next(iter(profiles.values())).values()))
    for precision, found in profiles.items():
        for name, profile in found.items():
            level = ladder.level(name)
            share = profile.latency_ms_p50 / first.latency_ms_p50
            energy = profile.energy_j and 1e3 * profile.energy_j
            rows.append((
                name, precision, f'{level.precision(precision).accuracy.value:.3f}',
                f'{profile.latency_ms_p50:.2f}', f'{profile.latency_ms_p95:.2f}',
                f'{profile.latency_ms_p99:.2f}', f'{share:.2f}', f'{level.kept_macs:.2f}',
                _cell(profile.throughput_hz), _cell(energy), _cell(profile.memory_mib),
            ))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        print('  '.join(cell.rjust(width) for cell, width in cells))
    for title in dict.fromkeys(p.engine for found in profiles.values() for p in found.values()):
        print(f'by {title}')


def _cell(value: float | None) -> str:
    return '-' if value is None else f'{value:.1f}'


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


