# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one or several ladders, as rows: the same for page, markdown and terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from uav_prune_perception.ladder import Ladder, LadderError, Level

NOTHING = '–'
PLAN = 'plan.json'


@dataclass(frozen=True)
class Table:
    """Head and cells; the first column is words, the others numbers."""

    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """As a GitHub table."""
        rule = ['---'] + ['---:'] * (len(self.head) - 1)
        lines = [self.head, rule, *self.rows]
        return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)


def common_device(ladders: Sequence[Ladder]) -> str:
    """A device on which every level of every ladder was profiled; '' if there is none."""
    sets = [set(level.profiles) for ladder in ladders for level in ladder.levels]
    shared = set.intersection(*sets) if sets else set()
    return min(shared, default='')


def level_table(ladders: Sequence[Ladder], device: str) -> Table:
    """Every level: work, size, accuracy, latency on ``device`` as a ratio to its ladder's top."""
    several = len(ladders) > 1
    metric = '/'.join(dict.fromkeys(ladder.levels[0].accuracy.metric for ladder in ladders))
    head = [*(['ladder'] if several else []), 'level', 'MACs kept', 'MACs', 'params', 'ONNX',
            metric, 'engine ms p50 / p95 / p99', 'times as fast']
    rows = []
    for ladder in ladders:
        top = ladder.levels[0].profiles.get(device)
        for level in ladder.levels:
            profile = level.profiles.get(device)
            latency, speed = NOTHING, NOTHING
            if profile is not None and top is not None:
                latency = ' / '.join(f'{value:.2f}' for value in (
                    profile.latency_ms_p50, profile.latency_ms_p95, profile.latency_ms_p99))
                speed = f'{top.latency_ms_p50 / profile.latency_ms_p50:.2f}'
            rows.append([
                *([ladder.name] if several else []), level.name, f'{100 * level.kept_macs:.1f} %',
                f'{level.macs / 1e6:.2f} M', f'{level.params / 1e3:.1f} k',
                f'{level.files["model.onnx"].bytes / 1024:.0f} KiB',
                f'{level.accuracy.value:.4f}', latency, speed,
            ])
    return Table(head, rows)


def class_table(ladder: Ladder) -> Table | None:
    """Accuracy of every class at every level, and what the lightest lost; None without any."""
    names = [name for name in ladder.classes
             if any(name in level.accuracy.per_class for level in ladder.levels)]
    if not names:
        return None
    rows = []
    for name in names:
        values = [level.accuracy.per_class.get(name) for level in ladder.levels]
        known = [value for value in values if value is not None]
        lost = f'{known[-1] - known[0]:+.3f}' if len(known) > 1 else NOTHING
        rows.append([name, *(NOTHING if v is None else f'{v:.3f}' for v in values), lost])
    head = ['class', *(level.name for level in ladder.levels), 'lightest - heaviest']
    return Table(head, rows)


# Figures of a detector that a table shows, in this order, by their words.
FIGURES = {
    'mAP50-95': 'mAP50-95', 'mAP50_small': 'mAP50 of small objects',
    'mAP50_medium': 'mAP50 of medium objects', 'mAP50_large': 'mAP50 of large objects',
    'precision': 'precision at the flown threshold', 'recall': 'recall at the flown threshold',
}


def figure_table(ladder: Ladder) -> Table | None:
    """Worst class, object sizes, precision and recall at every level; None without any."""
    accuracies = [level.accuracy for level in ladder.levels]
    rows = []
    if all(len(accuracy.per_class) > 1 for accuracy in accuracies):
        worst = [min(a.per_class.items(), key=lambda item: item[1]) for a in accuracies]
        rows.append(['worst class', *(f'{name} {value:.3f}' for name, value in worst)])
    for key, words in FIGURES.items():
        values = [accuracy.figures.get(key) for accuracy in accuracies]
        if any(value is not None for value in values):
            rows.append([words, *(NOTHING if v is None else f'{v:.3f}' for v in values)])
    return Table(['figure', *(level.name for level in ladder.levels)], rows) if rows else None


def widths(ladder: Ladder, level: Level) -> dict[str, tuple[int, int]]:
    """Channels kept and dense of every group that the plan knows, by its first producer.

    Raises:
        LadderError: the plan is not one.
    """
    if PLAN not in level.files:
        return {}
    path = ladder.folder / level.files[PLAN].path
    try:
        groups = json.loads(path.read_text(encoding='utf-8'))['groups']
        return {str(name): (int(kept), int(dense)) for name, (kept, dense) in groups.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LadderError(f'{path}: not a pruning plan: {error}') from None
