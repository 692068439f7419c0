# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of ladders: several Pareto lines in one, and how wide each layer is left."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt

from uav_prune_perception.ladder import Ladder

from .ladder_figures import widths
from .plots import STYLE, level_colours, to_svg

LINES = ('#23395d', '#c0392b', '#1f7a4d', '#b8860b', '#5b4b8a', '#0e7c86')
BAR = 0.17  # inches for each group's bars


def pareto_plot(ladders: Sequence[Ladder], device: str) -> str:
    """Accuracy against MACs, and against latency on ``device`` where there is one."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2 if device else 1, figsize=(8, 3.2), squeeze=False)
        for ladder, color in zip(ladders, LINES * len(ladders), strict=False):
            accuracy = [level.accuracy.value for level in ladder.levels]
            across = [[level.macs / 1e6 for level in ladder.levels]]
            if device:
                across.append([level.profiles[device].latency_ms_p50 for level in ladder.levels])
            for axis, x in zip(axes[0], across, strict=True):
                axis.plot(x, accuracy, color=color, marker='o', ms=5, label=ladder.name)
        axes[0][0].set(xlabel='million MACs per frame', title='Accuracy against work')
        axes[0][0].set_ylabel(ladders[0].levels[0].accuracy.metric)
        if device:
            axes[0][1].set(xlabel='p50 ms per frame', title='Accuracy against measured latency')
        for axis in axes[0]:
            axis.set_xlim(left=0)
            axis.margins(y=0.15)
            axis.set_ylim(bottom=0)
        figure.subplots_adjust(wspace=0.3)
        axes[0][0].legend(loc='lower right', fontsize=8)
        return to_svg(figure)


def width_plot(ladder: Ladder) -> str:
    """One row for each group of channels: dense width, and what each level keeps; '' without."""
    kept = {level.name: widths(ladder, level) for level in ladder.levels}
    dense = {name: both[1] for found in kept.values() for name, both in found.items()}
    if not dense:
        return ''
    names = list(dense)
    colours = level_colours([level.name for level in ladder.levels])
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(8, 1.0 + BAR * 1.6 * len(names)))
        rows = range(len(names))
        axis.barh(rows, [dense[name] for name in names], color='#e6e8eb', height=0.85,
                  label='dense')
        for level in ladder.levels:  # the heaviest first: lighter ones lie on top of it
            found = kept[level.name]
            if found:
                axis.barh(rows, [found.get(name, (dense[name], 0))[0] for name in names],
                          color=colours[level.name], height=0.85, label=level.name)
        axis.set_yticks(rows, names, fontsize=7)
        axis.invert_yaxis()
        axis.set_xlabel('channels')
        axis.margins(y=0.01)
        axis.legend(loc='lower right', fontsize=8, title='level')
        return to_svg(figure)
