# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How each level answers: precision against recall, and which class is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from uav_prune_perception.ladder import Ladder

from .page import plots
from .plots import STYLE, level_colours, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

WRITTEN = 12  # classes; the cells of a larger matrix hold no numbers
BACKGROUND = 'nothing'


def evaluation_plots(ladder: Ladder) -> str:
    """All that is known of the levels' answers, as drawings; '' where nothing is."""
    known: dict[str, dict[str, Any]] = ladder.provenance.get('evaluation', {})
    levels = [level.name for level in ladder.levels if level.name in known]
    drawings = []
    with plt.rc_context(STYLE):
        if any(known[name].get('curves') for name in levels):
            drawings.append(to_svg(_curves(levels, known)))
        for name in levels:
            if known[name].get('confusion'):
                matrix = np.array(known[name]['confusion'], float)
                drawings.append(to_svg(_confusion(ladder, name, matrix)))
    return plots(drawings) if drawings else ''


def _curves(levels: list[str], known: dict[str, dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    colours = level_colours(levels)
    for name in levels:
        curves = list(known[name].get('curves', {}).values())
        if curves:
            mean = np.mean(curves, axis=0)
            axes.plot(np.linspace(0, 1, len(mean)), mean, color=colours[name], label=name)
    axes.set(title='Precision against recall, mean of classes', xlabel='recall',
             ylabel='precision', xlim=(0, 1), ylim=(0, 1.03))
    axes.legend(title='level', fontsize=8)
    return figure


def _confusion(ladder: Ladder, level: str, counts: NDArray[np.float64]) -> Figure:
    names = [*ladder.classes, BACKGROUND][:len(counts)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(6.0, max(3.2, 1.6 + 0.3 * len(names)))
    figure, axes = plt.subplots(figsize=(side, side))
    axes.grid(visible=False)
    axes.pcolormesh(share, cmap='Blues', vmin=0, vmax=1, edgecolors='#e6e8eb', linewidth=0.5)
    places = np.arange(len(names)) + 0.5
    axes.set_xticks(places, names, rotation=60, ha='right', fontsize=7.5)
    axes.set_yticks(places, names, fontsize=7.5)
    axes.invert_yaxis()
    axes.set(title=f'Level {level}: really … (rows), taken for …', aspect='equal')
    if len(names) <= WRITTEN:
        for row, column in np.argwhere(counts > 0):
            light = share[row, column] > 0.55
            axes.text(column + 0.5, row + 0.5, f'{counts[row, column]:.0f}', ha='center',
                      va='center', fontsize=7, color='white' if light else '#1d252d')
    return figure
