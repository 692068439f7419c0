# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole ladder profiled on this machine: every level, every precision, in one run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...ladder import PRECISIONS, DeviceProfile, Ladder, LadderError
from ..engines.interface import check_interface
from ..engines.selection import choose_engines
from ..telemetry.machine import usable_cores
from .levels import NOISE, load_measured, profile_engines, slower_levels
from .power_meter import PowerMeter

Profiles = dict[str, dict[str, DeviceProfile]]
TOLD_PARTS = 4
MADE_FOR = {'tensorrt': ('fp32', 'fp16', 'int8_symmetric')}


def profile_ladder(
    ladder: Ladder,
    *,
    engine: str = 'auto',
    precisions: Sequence[str] | None = None,
    threads: int = 0,
    cuda_graph: bool = False,
    runs: int = 200,
    tell: Callable[[str], None] = lambda text: None,
    root: Path = Path('/'),
) -> Profiles:
    """Measured profiles by precision and level name, all taken in turns.

    Args:
        ladder: as opened.
        engine: see `choose_engines`.
        precisions: to measure; None = all that the ladder has and the engine is made for.
        threads: of the engine; 0 = one for each usable core.
        cuda_graph: see `choose_engines`.
        runs: timed inferences of each.
        tell: is told how it goes, in lines.
        root: where ``sys`` and ``proc`` lie.

    Raises:
        EngineError: an engine cannot be had, or a level does not run.
        LadderError: no level has the precision that was asked for.
    """
    made_for = MADE_FOR.get(engine, ('fp32', 'int8'))
    suitable = made_for if precisions is None else precisions
    pairs = [
        (level, precision)
        for precision in PRECISIONS
        for level in ladder.levels
        if precision in level.precisions and precision in suitable
    ]
    if not pairs:
        raise LadderError(
            f'{ladder.folder}: no level has {" or ".join(precisions or ())}; add it to '
            'export.precisions in the recipe'
        )
    threads = threads or usable_cores()
    step = max(1, runs // TOLD_PARTS)

    def progress(done: int, total: int) -> None:
        if done and done % step == 0:
            tell(f'round {done} of {total}')

    engines, memory = {}, {}
    with contextlib.ExitStack() as stack:
        for level, precision in pairs:
            make = choose_engines(
                ladder, engine=engine, precision=precision, threads=threads,
                cuda_graph=cuda_graph,
            )
            name = f'{level.name} {precision}'
            engines[name] = made = make(ladder, level)
            stack.callback(made.close)
            memory[name] = load_measured(made, root)
            check_interface(made, ladder)
            tell(f'level {name}: loaded, {made.title}')
        meter = PowerMeter(root)
        tell(f'power: {meter.source_name}' if meter else 'power: nothing to read here')
        found = profile_engines(
            engines, runs=runs, memory_mib=memory, meter=meter, root=root, progress=progress
        )
    profiles: Profiles = {}
    for level, precision in pairs:
        profiles.setdefault(precision, {})[level.name] = found[f'{level.name} {precision}']
    return profiles


def faults(profiles: Mapping[str, Mapping[str, DeviceProfile]]) -> list[str]:
    """One line for each level that gains nothing over the one above, or over its own fp32."""
    lines = []
    for precision, found in profiles.items():
        lines += [f'{precision}: {line}' for line in slower_levels(found)]
    plain = profiles.get('fp32', {})
    for precision, found in profiles.items():
        for name, profile in found.items():
            if precision == 'fp32' or name not in plain:
                continue
            before, after = plain[name].latency_ms_p50, profile.latency_ms_p50
            if after >= before * (1 - NOISE):
                lines.append(
                    f'level {name}: {precision} is not faster than fp32 on this machine '
                    f'({after:.2f} against {before:.2f} ms): fly fp32 here'
                )
    return lines
