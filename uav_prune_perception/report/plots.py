# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of the report, as inline SVG drawn by matplotlib."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use('Agg')

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .flight_record import FlightRecord

STYLE: Any = {
    'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True,
    'grid.color': '#e6e8eb', 'axes.edgecolor': '#9aa3ad', 'svg.fonttype': 'none',
    'font.family': 'sans-serif', 'axes.titlesize': 10, 'axes.titleweight': 'bold',
    'axes.titlelocation': 'left', 'axes.axisbelow': True, 'legend.frameon': False,
}
#: From the heaviest level to the lightest; readable for colour-blind eyes (viridis, cut short).
_COLOURS = mpl.colormaps['viridis']


def level_colours(names: list[str]) -> dict[str, str]:
    """One colour per level name, dark = heavy."""
    steps = max(1, len(names) - 1)
    return {n: mpl.colors.to_hex(_COLOURS(0.1 + 0.75 * i / steps)) for i, n in enumerate(names)}


def to_svg(figure: Figure) -> str:
    """The figure as an <svg> element that scales to its container; the figure is closed."""
    text = io.StringIO()
    figure.savefig(text, format='svg', bbox_inches='tight', metadata={'Date': None})
    plt.close(figure)
    svg = text.getvalue()
    svg = svg[svg.index('<svg'):]
    return re.sub(r'(<svg[^>]*?) width="[^"]*"( [^>]*?)? height="[^"]*"', r'\1\2', svg, count=1)


def flight_plot(record: FlightRecord, names: list[str]) -> str:
    """Three strips over one time axis: level, end-to-end age, telemetry."""
    colours = level_colours(names)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 1, figsize=(8, 6.2), sharex=True, height_ratios=[1.1, 1.4, 1.3]
        )
        _level_strip(axes[0], record, names, colours)
        _age_strip(axes[1], record, colours)
        _telemetry_strip(axes[2], record)
        for strip in axes:
            for start, _ in record.phases:
                strip.axvline(start, color='#9aa3ad', lw=0.8, ls=':')
            strip.set_xlim(0, record.duration_s)
        _phase_names(axes[0], record)
        axes[2].set_xlabel('seconds since activation')
        figure.align_ylabels(axes)
        return to_svg(figure)


def _phase_names(axes: Axes, record: FlightRecord) -> None:
    """Above the strip; a name that would run into the one before it goes one line higher."""
    ends = [-1.0, -1.0]  # where the last name of each line ends
    for start, name in record.phases:
        line = 0 if start >= ends[0] else 1
        ends[line] = start + record.duration_s * 0.013 * (len(name) + 1)
        axes.text(start, 1.02 + 0.11 * line, ' ' + name, transform=axes.get_xaxis_transform(),
                  fontsize=8, color='#5b6570', va='bottom')


def _level_strip(
    axes: Axes, record: FlightRecord, names: list[str], colours: dict[str, str]
) -> None:
    row = {name: len(names) - 1 - index for index, name in enumerate(names)}
    for level, start, end in record.level_spans():
        axes.barh(row.get(level, 0), end - start, left=start, height=0.72,
                  color=colours.get(level, '#999999'))
    axes.set_yticks([row[name] for name in names], names)
    axes.set_ylabel('active level')
    axes.set_ylim(-0.6, len(names) - 0.4)


def _age_strip(axes: Axes, record: FlightRecord, colours: dict[str, str]) -> None:
    for name, colour in colours.items():
        frames = [frame for frame in record.frames if frame.level == name]
        axes.scatter([f.t_s for f in frames], [f.age_ms for f in frames], s=3, color=colour)
    axes.axhline(record.deadline_ms, color='#c0392b', lw=1, label='deadline (processing)')
    ages = sorted(frame.age_ms for frame in record.frames)
    if ages:  # a few outliers must not flatten the picture
        axes.set_ylim(0, max(record.deadline_ms * 1.6, ages[int(0.99 * (len(ages) - 1))] * 1.2))
    axes.set_ylabel('image to detection\nms')
    axes.legend(loc='upper left', fontsize=8)


def _telemetry_strip(axes: Axes, record: FlightRecord) -> None:
    t = [item.t_s for item in record.telemetry]
    battery = [100 * item.battery_fraction for item in record.telemetry]
    load = [100 * item.load for item in record.telemetry]
    power = [item.power_w for item in record.telemetry]
    axes.plot(t, battery, color='#1f7a4d', label='battery %')
    if any(not math.isnan(value) for value in load):
        axes.plot(t, load, color='#b8860b', label='board load %')
    axes.set_ylim(0, 105)
    axes.set_ylabel('telemetry sent\n%')
    handles, labels = axes.get_legend_handles_labels()
    if any(not math.isnan(value) for value in power):
        watts = axes.twinx()
        watts.plot(t, power, color='#5b4b8a', label='board power W')
        watts.set_ylim(0, 1.25 * max(value for value in power if not math.isnan(value)))
        watts.set_ylabel('W')
        watts.grid(visible=False)
        extra = watts.get_legend_handles_labels()
        handles, labels = handles + extra[0], labels + extra[1]
    axes.legend(handles, labels, loc='lower left', fontsize=8, ncols=3)
