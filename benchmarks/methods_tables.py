# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of methods as markdown tables and a plot."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use('Agg')
from matplotlib import pyplot

Row = dict[str, Any]
COLORS = {'Torch-Pruning': 'tab:red', 'baseline': 'tab:gray', 'method': 'tab:blue',
          'ours': 'tab:green'}


def tables(rows: list[Row], setting: str) -> str:
    """One table for each problem and cut, best first."""
    if not rows:
        return f'No run of setting {setting} has finished.\n'
    machines = sorted({row['machine'] for row in rows})
    commits = sorted({row.get('commit', 'unknown') for row in rows})
    parts = [
        f'Setting `{setting}` on {", ".join(machines)}; torch {rows[0]["torch"]}; '
        f'commits {", ".join(commits)}. '
        'Accuracy: top-1 on the test split, read once for each final model, after the last step '
        'of fine-tuning; mean and standard deviation over the seeds. '
        f'Budget: {budget_of(rows[0])}. `batches`: labelled batches that the method took in all, '
        'fine-tuning, sparse training, search and gradients for scores together. '
        '`latency`: ONNX Runtime, one thread, as a share of the dense network, taking turns. '
        '`pruning`: seconds outside training (wall clock).\n'
    ]
    for problem in dict.fromkeys(row['problem'] for row in rows):
        own = [row for row in rows if row['problem'] == problem]
        parts.append(f'### {problem}\n')
        for row in own:
            if row['name'] == 'dense' and 'top1' in row:
                parts.append(
                    f'Dense: {row["top1"]:.2%} (n = {row["n"]}), {row["macs"] / 1e6:.2f} M MACs, '
                    f'{row["params"] / 1e3:.1f} k parameters.\n'
                )
        cuts = sorted({row['cut'] for row in own if row['name'] != 'dense'})
        if len(cuts) > 1:
            parts.append(_overview(own, cuts))
        for cut in cuts:
            parts.append(_table([row for row in own if row['cut'] == cut], cut))
    return '\n'.join(parts)


def _overview(rows: list[Row], cuts: list[float]) -> str:
    """Top-1 of every method at every cut, with the number of seeds."""
    groups = by_name([row for row in rows if row['name'] != 'dense' and 'top1' in row])
    cells = {
        name: [[row for row in own if row['cut'] == cut] for cut in cuts]
        for name, own in groups.items()
    }
    usual = max(range(len(cuts)), key=lambda i: sum(len(cell[i]) for cell in cells.values()))
    lines = [
        f'| top-1 % (seeds) | {" | ".join(f"{cut:.0%} cut" for cut in cuts)} |',
        f'|---|{"---|" * len(cuts)}',
    ]
    for name in sorted(cells, key=lambda name: -mean_of(cells[name][usual], 'top1')):
        texts = [
            f'{mean_and_spread([100 * row["top1"] for row in cell])} ({len(cell)})' if cell else ''
            for cell in cells[name]
        ]
        lines.append(f'| {name} | {" | ".join(texts)} |')
    return '\n'.join([*lines, ''])


def _table(rows: list[Row], cut: float) -> str:
    lines = [
        f'#### {cut:.0%} of the MACs cut', '',
        '| method | kind | top-1 % | seeds | MACs cut % | k parameters | latency | pruning s '
        '| batches | note |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    groups = by_name(rows)
    done = {name: [r for r in own if 'top1' in r] for name, own in groups.items()}
    order = sorted(groups, key=lambda name: -mean_of(done[name], 'top1'))
    for name in order:
        own, first = done[name], groups[name][0]
        if not own:
            lines.append(f'| {name} | {first["origin"]} | - | 0 | | | | | | {first["error"]} |')
            continue
        failed = len(groups[name]) - len(own)
        note = first['note'] + (f' ({failed} runs failed)' if failed else '')
        lines.append(
            f'| {name} | {first["origin"]} | {mean_and_spread([100 * r["top1"] for r in own])} '
            f'| {len(own)} | {100 * mean_of(own, "macs_cut"):.1f} '
            f'| {mean_of(own, "params") / 1e3:.1f} | {mean_of(own, "latency_ratio"):.2f} '
            f'| {mean_of(own, "prune_s"):.1f} | {mean_of(own, "batches"):.0f} | {note} |'
        )
    return '\n'.join([*lines, *_lead(done), ''])


def _lead(done: dict[str, list[Row]]) -> list[str]:
    """What the recommended recipe is ahead of Torch-Pruning's best, where both were run."""
    ours = done.get('recommended', [])
    theirs = [own for own in done.values() if own and own[0]['origin'] == 'Torch-Pruning']
    if not ours or not theirs:
        return []
    best = max(theirs, key=lambda own: mean_of(own, 'top1'))
    gap = 100 * (mean_of(ours, 'top1') - mean_of(best, 'top1'))
    return [
        '', f'Recommended less the best of Torch-Pruning ({best[0]["name"]}): {gap:+.2f} points, '
        f'with {len(ours)} and {len(best)} seeds.',
    ]


def plot(rows: list[Row], path: Path) -> None:
    """Top-1 over the share of MACs cut; one panel for each problem."""
    rows = [row for row in rows if 'top1' in row]
    problems = list(dict.fromkeys(row['problem'] for row in rows))
    if not problems:
        return
    figure, axes = pyplot.subplots(
        1, len(problems), figsize=(6.5 * len(problems), 5), squeeze=False, layout='constrained'
    )
    for axis, problem in zip(axes[0], problems, strict=True):
        own = [row for row in rows if row['problem'] == problem]
        for index, (name, runs) in enumerate(by_name(own).items()):
            if name == 'dense':
                axis.axhline(100 * runs[0]['top1'], color='black', lw=0.8, ls=':', label='dense')
                continue
            cuts = sorted({row['cut'] for row in runs})
            values = [[100 * r['top1'] for r in runs if r['cut'] == cut] for cut in cuts]
            axis.errorbar(
                [100 * cut for cut in cuts], [statistics.mean(v) for v in values],
                [statistics.stdev(v) if len(v) > 1 else 0 for v in values], label=name,
                color=COLORS.get(runs[0]['origin']), marker='osv^D<>Pp*hX'[index % 12],
                ls='--' if runs[0]['origin'] == 'Torch-Pruning' else '-', lw=1, ms=5, capsize=2,
                alpha=0.85,
            )
        axis.set(title=problem, xlabel='MACs cut, %', ylabel='top-1 on test, %')
        axis.grid(alpha=0.3)
    axes[0][-1].legend(fontsize=7, loc='center left', bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def by_name(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row['name'], []).append(row)
    return found


def budget_of(row: Row) -> str:
    if row['budget']:
        return f'{row["budget"]} steps of {row["batch_size"]} pictures'
    return f'{row["epochs"]} epochs, batches of {row["batch_size"]}'


def mean_of(rows: list[Row], figure: str) -> float:
    return statistics.mean(row[figure] for row in rows) if rows else -1.0


def mean_and_spread(values: list[float]) -> str:
    if len(values) < 2:
        return f'{values[0]:.2f}'
    return f'{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}'
