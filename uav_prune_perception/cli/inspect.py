# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune inspect``: the levels of a ladder as a table."""

from __future__ import annotations

import argparse
import json

from uav_prune_perception.ladder import BoxesScores, Ladder, Level, open_ladder, reseal
from uav_prune_perception.ladder.document import to_document


def run_inspect(options: argparse.Namespace) -> int:
    """Verify and print.

    Raises:
        LadderError: the ladder is missing, damaged, or edited.
    """
    ladder = reseal(options.ladder) if options.reseal else open_ladder(options.ladder)
    if options.json:
        print(json.dumps(to_document(ladder), indent=1, ensure_ascii=False))
        return 0
    print_ladder(ladder)
    return 0


def print_ladder(ladder: Ladder) -> None:
    """Head, table of levels, devices, provenance."""
    size = f'{ladder.input.width}x{ladder.input.height} {ladder.input.color}'
    print(
        f'{ladder.name}: {ladder.task}, input {size} '
        f'({ladder.input.resize}), classes: {", ".join(ladder.classes[:12])}'
        + (f' and {len(ladder.classes) - 12} more' if len(ladder.classes) > 12 else '')
    )
    if isinstance(ladder.decode, BoxesScores):
        print(
            f'boxes {ladder.decode.box_format}, score >= {ladder.decode.score_threshold:g}, '
            f'NMS IoU {ladder.decode.iou_threshold:g}'
            + ''.join(
                f', {name} >= {value:g}'
                for name, value in (ladder.decode.class_thresholds or {}).items()
            )
        )
    devices = list(dict.fromkeys(name for level in ladder.levels for name in level.profiles))
    _print_table(ladder, devices)
    for number, device in enumerate(devices, 1):
        profile = next(
            level.profiles[device] for level in ladder.levels if device in level.profiles
        )
        print(f'[{number}] {device}: {profile.engine}, ms, n = {profile.n}')
    for line in ladder.remarks():
        print(line)
    _print_provenance(ladder)


def _print_table(ladder: Ladder, devices: list[str]) -> None:
    head = ['level', 'kept MACs', 'MACs', 'params', 'model', 'accuracy']
    head += [f'[{number}] p50 / p95 / p99' for number in range(1, len(devices) + 1)]
    rows = [head, *(_row(level, devices) for level in ladder.levels)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = zip(others, widths[1:], strict=True)
        print('  '.join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in cells)]))


def _row(level: Level, devices: list[str]) -> list[str]:
    accuracy = level.accuracy
    cells = [
        level.name,
        f'{100 * level.kept_macs:.1f} %',
        f'{level.macs / 1e6:.2f} M',
        f'{level.params / 1e3:.1f} k',
        f'{level.files["model.onnx"].bytes / 1024:.0f} KiB',
        f'{accuracy.metric} {accuracy.value:.4f} ({accuracy.split}, n = {accuracy.n})',
    ]
    for device in devices:
        profile = level.profiles.get(device)
        cells.append(
            f'{profile.latency_ms_p50:.2f} / {profile.latency_ms_p95:.2f} / '
            f'{profile.latency_ms_p99:.2f}'
            if profile
            else '-'
        )
    return cells


def _print_provenance(ladder: Ladder) -> None:
    facts = ladder.provenance
    packages = ', '.join(f'{name} {version}' for name, version in facts['packages'].items())
    print(
        f'made {facts["created"]} by method {facts["method"]}, seed {facts["seed"]}, '
        f'recipe {facts["recipe"].get("name", "not named")}, '
        f'data sha256 {facts["data_sha256"][:12]}'
    )
    if packages:
        print(f'with {packages}')
