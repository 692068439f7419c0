# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of ladders: several Pareto lines in one, and how wide each layer is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from uav_prune_perception.ladder import Ladder, Level

from .ladder_figures import widths
from .page import plots
from .plots import STYLE, level_colours, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ('#23395d', '#c0392b', '#1f7a4d', '#b8860b', '#5b4b8a', '#0e7c86')
SMALL, WIDE = 4.6, 4.2  # inches: text stays readable on a phone's 390 pixels
BAR = 0.17  # inches for each group's bars


def pareto_plots(ladders: Sequence[Ladder], device: str) -> str:
    """Accuracy against MACs, and against latency on ``device`` where there is one.

    Of one ladder every level has its name and colour; several have a line each.
    """
    across = {('Accuracy against work', 'million MACs per frame'): _macs}
    if device:
        across['Accuracy against measured latency', 'p50 ms per frame'] = _latency
    drawings = []
    for (title, unit), value in across.items():
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(figsize=(SMALL, 3.0))
            for ladder, line in zip(ladders, LINES * len(ladders), strict=False):
                _draw_ladder(axes, ladder, [value(level, device) for level in ladder.levels],
                             '' if len(ladders) == 1 else line)
            axes.set(title=title, xlabel=unit, ylabel=ladders[0].levels[0].accuracy.metric)
            axes.margins(x=0.12, y=0.2)
            axes.set_xlim(0, 1.1 * max(
                value(level, device) for ladder in ladders for level in ladder.levels))
            if len(ladders) > 1:
                axes.set_ylim(bottom=0)
                axes.legend(loc='lower right', fontsize=8)
            drawings.append(to_svg(figure))
    return plots(drawings)


def _macs(level: Level, device: str) -> float:
    return level.macs / 1e6


def _latency(level: Level, device: str) -> float:
    return level.profiles[device].latency_ms_p50


def _draw_ladder(axes: Axes, ladder: Ladder, x: list[float], line: str) -> None:
    y = [level.accuracy.value for level in ladder.levels]
    if line:
        axes.plot(x, y, color=line, marker='o', ms=5, label=ladder.name)
        return
    axes.plot(x, y, color='#c3cad1', zorder=1)
    colours = level_colours([level.name for level in ladder.levels])
    for level, a, b in zip(ladder.levels, x, y, strict=True):
        axes.scatter(a, b, s=70, color=colours[level.name], zorder=2)
        axes.annotate(level.name, (a, b), textcoords='offset points', xytext=(0, 8), ha='center')


def training_plots(ladder: Ladder) -> str:
    """Loss and accuracy of every training run that led to the ladder; '' where none is known."""
    curves = [c for c in ladder.provenance.get('training', []) if len(c['loss']) > 1]
    if not curves:
        return ''
    drawings = []
    for key, title in (('loss', 'Loss'), ('accuracy', 'Accuracy on val')):
        shown = [(c['phase'], [(i, v) for i, v in enumerate(c[key], 1) if v is not None])
                 for c in curves]
        if not any(points for _, points in shown):
            continue
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(figsize=(SMALL, 3.0))
            for index, (phase, points) in enumerate(shown):
                if points:
                    axes.plot(*zip(*points, strict=True), color=LINES[index % len(LINES)],
                              marker='o', ms=2.5, lw=1.2, label=phase)
            axes.set(title=title, xlabel='epoch')
            axes.legend(fontsize=7)
            drawings.append(to_svg(figure))
    return plots(drawings)


def width_plot(ladder: Ladder) -> str:
    """One row for each group of channels: dense width, and what each level keeps; '' without."""
    kept = {level.name: widths(ladder, level) for level in ladder.levels}
    dense = {name: both[1] for found in kept.values() for name, both in found.items()}
    if not dense:
        return ''
    names = list(dense)
    colours = level_colours([level.name for level in ladder.levels])
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDE, 1.0 + BAR * 1.6 * len(names)))
        rows = range(len(names))
        axis.barh(rows, [dense[name] for name in names], color='#e6e8eb', height=0.85,
                  label='dense')
        for level in ladder.levels:  # the heaviest first: lighter ones lie on top of it
            found = kept[level.name]
            if found:
                axis.barh(rows, [found.get(name, (dense[name], 0))[0] for name in names],
                          color=colours[level.name], height=0.85, label=level.name)
        axis.set_yticks(rows, names, fontsize=7.5)
        axis.invert_yaxis()
        axis.set_xlabel('channels')
        axis.margins(y=0.01)
        axis.legend(loc='lower right', fontsize=8, title='level')
        return to_svg(figure)
