# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune report`` and ``uav-prune compare``: ladders as a page, as markdown, as a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from uav_prune_perception.ladder import Ladder, LadderError, open_ladder
from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.report.ladder_figures import Table, common_device, level_table
from uav_prune_perception.report.ladder_page import ladder_markdown, ladder_page
from uav_prune_perception.report.level_pictures import level_pictures

PIPE_WIDTH = 160
SUFFIXES = ('.html', '.md')


def run_report(options: argparse.Namespace) -> int:
    """Write the page (and markdown) of one ladder."""
    ladder = open_ladder(options.ladder)
    pictures = level_pictures(ladder, options.pictures) if options.pictures else ()
    paths = options.output or [Path(f'{ladder.name}_report.html')]
    _check(paths)
    for path in paths:
        page = path.suffix == '.html'
        _write(path, ladder_page([ladder], pictures) if page else ladder_markdown([ladder]))
    return 0


def write_reports(ladder: Ladder) -> list[Path]:
    """Write ``report.html`` and ``report.md`` into the ladder's own folder."""
    texts = {'report.html': ladder_page([ladder]), 'report.md': ladder_markdown([ladder])}
    for name, text in texts.items():
        with replacing(ladder.folder / name) as temporary:
            temporary.write_text(text, encoding='utf-8')
    return [ladder.folder / name for name in texts]


def run_compare(options: argparse.Namespace) -> int:
    """Print ladders side by side; write the page where asked."""
    ladders = [open_ladder(path) for path in options.ladders]
    kinds = {(ladder.task, ladder.levels[0].accuracy.metric) for ladder in ladders}
    if len(kinds) > 1:
        found = ', '.join(f'{ladder.name} ({ladder.task})' for ladder in ladders)
        raise LadderError(f'these ladders answer different questions: {found}')
    _check(options.output or [])
    device = common_device(ladders)
    figures = level_table(ladders, device)
    if options.json:
        print(json.dumps([dict(zip(figures.head, row, strict=True)) for row in figures.rows]))
    else:
        _print(figures, ladders, device)
    for path in options.output or []:
        _write(path, ladder_page(ladders) if path.suffix == '.html' else ladder_markdown(ladders))
    return 0


def _check(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix not in SUFFIXES:
            raise LadderError(f'{path}: a report ends in {" or ".join(SUFFIXES)}')


def _write(path: Path, text: str) -> None:
    with replacing(path.expanduser()) as temporary:
        temporary.write_text(text, encoding='utf-8')
    print(f'written: {path}')


def _print(figures: Table, ladders: list[Ladder], device: str) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    table = RichTable(box=None, pad_edge=False, header_style='bold')
    for index, name in enumerate(figures.head):
        table.add_column(name, justify='left' if index < 2 else 'right')
    for row in figures.rows:
        table.add_row(*row)
    console.print(table)
    test_sets = {ladder.provenance['data_sha256'] for ladder in ladders}
    if len(test_sets) > 1:
        console.print('judged on different data: the accuracies do not compare', style='yellow')
    if not device:
        console.print('no device on which all were profiled: latency is left out', style='yellow')
