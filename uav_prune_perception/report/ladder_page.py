# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of a ladder, or of several side by side: one HTML page, and markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import yaml

from uav_prune_perception.ladder import Ladder

from .evaluation_plots import evaluation_plots
from .ladder_figures import class_table, common_device, figure_table, level_table
from .ladder_plots import pareto_plots, training_plots, width_plot
from .level_pictures import LevelPicture
from .page import cards, heading, image, page, remark, table


def ladder_page(
    ladders: Sequence[Ladder], pictures: Sequence[Sequence[LevelPicture]] = ()
) -> str:
    """Self-contained HTML, no scripts, no network.

    Args:
        ladders: one, or several to compare.
        pictures: for each example a row of pictures, one per level.
    """
    return page(_title(ladders), _parts(ladders, pictures))


def ladder_markdown(ladders: Sequence[Ladder]) -> str:
    """The same figures as GitHub markdown."""
    device = common_device(ladders)
    parts = [f'# {_title(ladders)}', level_table(ladders, device).markdown()]
    if device:
        parts.append(f'Engine: {_engine(ladders[0], device)}.')
    parts += [f'**{line}**' for ladder in ladders for line in _remarks(ladder, ladders)]
    for ladder in ladders:
        classes = class_table(ladder)
        if classes is not None:
            parts += [f'## {ladder.name}: each class', classes.markdown()]
        figures = figure_table(ladder)
        if figures is not None:
            parts += [f'## {ladder.name}: worst class and object sizes', figures.markdown()]
        parts.append(_origin(ladder))
    return '\n\n'.join(parts) + '\n'


def _remarks(ladder: Ladder, ladders: Sequence[Ladder]) -> list[str]:
    prefix = f'{ladder.name}: ' if len(ladders) > 1 else ''
    return [prefix + line for line in ladder.remarks()]


def _title(ladders: Sequence[Ladder]) -> str:
    names = ', '.join(ladder.name for ladder in ladders)
    return f'Ladder {names}' if len(ladders) == 1 else f'Ladders {names}'


def _parts(
    ladders: Sequence[Ladder], pictures: Sequence[Sequence[LevelPicture]]
) -> Iterator[str]:
    device = common_device(ladders)
    yield f'<h1>{html.escape(_title(ladders))}</h1>'
    if len(ladders) == 1:
        yield f'<p class="lead">{html.escape(_input(ladders[0]))}</p>'
        yield cards(_headline(ladders[0], device))
    accuracy = ladders[0].levels[0].accuracy
    lead = f'Accuracy is that of the exported file on {accuracy.n} pictures of {accuracy.split}.'
    if device:
        lead += f' Latency on {_engine(ladders[0], device)}.'
    yield heading('Levels', lead)
    yield pareto_plots(ladders, device)
    levels = level_table(ladders, device)
    yield table(levels.head, levels.rows)
    for ladder in ladders:
        yield from (remark(line) for line in _remarks(ladder, ladders))
    for ladder in ladders:
        prefix = f'{ladder.name}: ' if len(ladders) > 1 else ''
        classes = class_table(ladder)
        if classes is not None:
            yield heading(f'{prefix}Each class', 'Where the lightest level pays.')
            yield table(classes.head, classes.rows)
        figures = figure_table(ladder)
        if figures is not None:
            yield heading(f'{prefix}Worst class and object sizes', 'What a mean hides.')
            yield table(figures.head, figures.rows)
        answers = evaluation_plots(ladder)
        if answers:
            yield heading(f'{prefix}How each level answers', 'On the pictures of test.')
            yield answers
        drawn = width_plot(ladder)
        if drawn:
            yield heading(f'{prefix}What was cut', 'Channels that each level keeps in each group.')
            yield drawn
        curves = training_plots(ladder)
        if curves:
            yield heading(f'{prefix}How it learnt', 'Loss of each epoch, and accuracy on val.')
            yield curves
    if pictures:
        yield heading('The same pictures at every level', 'As the onboard pipeline sees them.')
        for row in pictures:
            shown = ''.join(image(one.jpeg_base64, one.caption) for one in row)
            yield f'<div class="frames">{shown}</div>'
    yield heading('Where it comes from')
    for ladder in ladders:
        yield f'<p>{html.escape(_origin(ladder))}</p>'
        yield _recipe(ladder)


def _input(ladder: Ladder) -> str:
    spec = ladder.input
    return (
        f'{ladder.task}, input {spec.width}x{spec.height} {spec.color} ({spec.resize}), '
        f'{len(ladder.classes)} classes: {", ".join(ladder.classes[:12])}'
    )


def _headline(ladder: Ladder, device: str) -> list[tuple[str, str]]:
    top, low = ladder.levels[0], ladder.levels[-1]
    items = [
        (f'{len(ladder.levels)} levels', f'100 % to {100 * low.kept_macs:.0f} % of the MACs'),
        (f'{top.accuracy.value:.3f} → {low.accuracy.value:.3f}',
         f'{top.accuracy.metric}, heaviest to lightest'),
        (f'{top.params / 1e3:.0f} k → {low.params / 1e3:.0f} k', 'parameters'),
    ]
    if device:
        slow, fast = (level.profiles[device].latency_ms_p50 for level in (top, low))
        items.append((f'{slow:.1f} → {fast:.1f} ms', f'per frame (p50), {slow / fast:.1f} times '
                      'as fast'))
    return items


def _engine(ladder: Ladder, device: str) -> str:
    return f'{device}, {ladder.levels[0].profiles[device].engine}'


def _origin(ladder: Ladder) -> str:
    facts = ladder.provenance
    packages = ', '.join(f'{name} {version}' for name, version in facts['packages'].items())
    return (
        f'{ladder.name}: method {facts["method"]}, seed {facts["seed"]}, made {facts["created"]}, '
        f'data sha256 {facts["data_sha256"][:16]}; {packages}'
        f'{"; commit " + facts["commit"] if facts.get("commit") else ""}.'
    )


def _recipe(ladder: Ladder) -> str:
    text = yaml.safe_dump(ladder.provenance['recipe'], sort_keys=False)
    return (
        f'<details><summary>the whole recipe of {html.escape(ladder.name)}</summary>'
        f'<pre>{html.escape(text)}</pre></details>'
    )
