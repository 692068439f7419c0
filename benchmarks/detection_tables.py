# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of detectors as markdown tables and a plot."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from matplotlib import pyplot
from methods_tables import COLORS, Row, budget_of, by_name, mean_and_spread, mean_of

FIGURES = ('mAP50', 'mAP50-95', 'mAP50_small')
HEAD = ('method', 'kind', 'mAP50 %', 'mAP50-95 %', 'small mAP50 %', 'worst class %', 'seeds',
        'MACs cut %', 'params cut %', 'latency', 'pruning s', 'batches', 'note')


def tables(rows: list[Row], setting: str) -> str:
    """One table for each goal, best first, and one with every class."""
    done = [row for row in rows if 'mAP50' in row]
    dense = next((row for row in done if row['name'] == 'dense'), None)
    if dense is None:
        return f'No run of setting {setting} has finished.\n'
    machines = sorted({row['machine'] for row in rows})
    parts = [
        f'Setting `{setting}` on {", ".join(machines)}; torch {rows[0]["torch"]}. '
        'Test split, read once for each final model, after the last step of fine-tuning; mean and '
        f'standard deviation over the seeds. Budget: {budget_of(dense)}, sparse training or '
        'training with masks included. Small: below 32x32 pixels of the original pictures. '
        '`batches`: labelled batches of training that the method took. `latency`: ONNX Runtime, '
        'one thread, as a share of the dense network, taking turns. `pruning`: seconds outside '
        'training (wall clock, busy machine).\n',
        f'{dense["problem"]}, dense: mAP50 {dense["mAP50"]:.2%}, mAP50-95 '
        f'{dense["mAP50-95"]:.2%}, small {dense["mAP50_small"]:.2%}, worst class '
        f'{dense["worst_class"]} {dense["worst"]:.2%} (n = {dense["n"]}), '
        f'{dense["macs"] / 1e6:.1f} M MACs, {dense["params"] / 1e3:.1f} k parameters.\n',
    ]
    parts += [
        f'The same network trained on for the same budget, not cut: mAP50 {row["mAP50"]:.2%}, '
        f'mAP50-95 {row["mAP50-95"]:.2%}, small {row["mAP50_small"]:.2%}.\n'
        for row in done if not row['goal'] and row['name'] != 'dense'
    ]
    for goal in dict.fromkeys(row['goal'] for row in rows if row['goal']):
        own = [row for row in rows if row['goal'] == goal]
        parts += [f'### {goal}\n', _table(own, dense), _classes(own, dense)]
    return '\n'.join(parts)


def _table(rows: list[Row], dense: Row) -> str:
    lines = ['| ' + ' | '.join(HEAD) + ' |', '|---' * len(HEAD) + '|']
    for name, own in _ranked(rows):
        first = own[0]
        done = [row for row in own if 'mAP50' in row]
        if not done:
            blank = ' |' * (len(HEAD) - 4)
            lines.append(f'| {name} | {first["origin"]} | - |{blank} {first["error"]} |')
            continue
        worst = ', '.join(sorted({row['worst_class'] for row in done}))
        cells = [
            name, first['origin'],
            *(mean_and_spread([100 * row[key] for row in done]) for key in FIGURES),
            f'{mean_and_spread([100 * row["worst"] for row in done])} ({worst})',
            str(len(done)), f'{100 * mean_of(done, "macs_cut"):.1f}',
            f'{100 * (1 - mean_of(done, "params") / dense["params"]):.1f}',
            f'{mean_of(done, "latency_ratio"):.2f}', f'{mean_of(done, "prune_s"):.0f}',
            f'{mean_of(done, "batches"):.0f}', first['note'],
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join([*lines, ''])


def _classes(rows: list[Row], dense: Row) -> str:
    """AP50 of each class, and what it lost against the dense network."""
    names = list(dense['per_class'])
    lines = ['| method | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|',
             '| dense | ' + ' | '.join(f'{100 * dense["per_class"][n]:.2f}' for n in names) + ' |']
    for name, own in _ranked(rows):
        done = [row for row in own if 'mAP50' in row]
        if done:
            means = [statistics.mean(row['per_class'][n] for row in done) for n in names]
            cells = (
                f'{100 * value:.2f} ({100 * (value - dense["per_class"][n]):+.1f})'
                for n, value in zip(names, means, strict=True)
            )
            lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join([*lines, ''])


def _ranked(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    def value(item: tuple[str, list[Row]]) -> float:
        return -mean_of([row for row in item[1] if 'mAP50' in row], 'mAP50')

    return sorted(by_name(rows).items(), key=value)


def plot(rows: list[Row], path: Path) -> None:
    """mAP50, small objects and the worst class over the share of MACs cut."""
    done = [row for row in rows if 'mAP50' in row]
    if not done:
        return
    panels = {'mAP50': 'mAP50', 'mAP50_small': 'mAP50, small objects', 'worst': 'worst class'}
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 5), layout='constrained')
    for axis, (key, title) in zip(axes, panels.items(), strict=True):
        for index, (name, runs) in enumerate(by_name(done).items()):
            if name == 'dense':
                axis.axhline(100 * runs[0][key], color='black', lw=0.8, ls=':', label='dense')
            else:
                _dots(axis, name, runs, (key, index))
        axis.set(title=title, xlabel='MACs cut, %', ylabel='% on test')
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=7, loc='center left', bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _dots(axis: Any, name: str, runs: list[Row], what: tuple[str, int]) -> None:
    key, index = what
    goals = [[row for row in runs if row['goal'] == goal]
             for goal in dict.fromkeys(row['goal'] for row in runs)]
    goals.sort(key=lambda own: mean_of(own, 'macs_cut'))
    axis.errorbar(
        [100 * mean_of(own, 'macs_cut') for own in goals],
        [100 * mean_of(own, key) for own in goals],
        [100 * statistics.stdev(r[key] for r in own) if len(own) > 1 else 0 for own in goals],
        label=name, color=COLORS.get(runs[0]['origin']), marker='osv^D<>Pp*hX'[index % 12],
        ls='--' if runs[0]['origin'] == 'Torch-Pruning' else '-', lw=1, ms=5, capsize=2,
        alpha=0.85,
    )
