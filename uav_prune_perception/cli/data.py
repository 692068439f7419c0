# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune data check``: what a detection set holds, and what is wrong with it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
from rich.console import Console

from uav_prune_perception.datasets.annotation_formats import read_annotations
from uav_prune_perception.datasets.annotations import AnnotatedSet, Fault
from uav_prune_perception.datasets.check import SplitSummary, check_pictures, summarise
from uav_prune_perception.datasets.contact_sheet import contact_sheet
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.ladder.durable import replacing

from .progress import LiveReporter

FAULTY = 1


def run_data(options: argparse.Namespace) -> int:
    """Check a set; exit code 1 when anything is wrong with it."""
    found = read_annotations(options.path, options.format)
    faults = [*found.faults, *_checked(found)]
    if options.sheet is not None:
        write_sheet(found, options.sheet)
    rows = summarise(found)
    if options.json:
        print(json.dumps(_document(found, rows, faults), indent=1, ensure_ascii=False))
    else:
        _print(found, rows, faults, options)
    return FAULTY if faults else 0


def _checked(found: AnnotatedSet) -> list[Fault]:
    console = Console(stderr=True)
    if not console.is_terminal:  # the report itself is all that a pipe wants
        return check_pictures(found)
    with LiveReporter(console) as bar:
        bar.phase('reading the pictures', sum(len(split) for split in found.splits.values()))
        return check_pictures(found, bar.step)


def write_sheet(found: AnnotatedSet, path: Path) -> None:
    """Write the contact sheet as PNG.

    Raises:
        DatasetError: the name is not a .png.
    """
    if path.suffix.lower() != '.png':
        raise DatasetError(f'{path}: the contact sheet is a PNG; give a name that ends in .png')
    _, content = cv2.imencode('.png', contact_sheet(found))
    with replacing(path.expanduser()) as temporary:
        temporary.write_bytes(content.tobytes())


def _document(
    found: AnnotatedSet, rows: list[SplitSummary], faults: list[Fault]
) -> dict[str, object]:
    return {
        'format': found.format,
        'classes': list(found.classes),
        'splits': [dataclasses.asdict(row) for row in rows],
        'faults': [dataclasses.asdict(fault) for fault in faults],
    }


def _print(
    found: AnnotatedSet, rows: list[SplitSummary], faults: list[Fault],
    options: argparse.Namespace,
) -> None:
    print(f'{options.path}: {found.format}, {len(found.classes)} classes')
    counts = {
        'pictures': [row.pictures for row in rows], 'without a box': [row.empty for row in rows],
        **{name: [row.boxes[name] for row in rows] for name in found.classes},
        'boxes < 32 px': [row.small for row in rows], '32 to 96 px': [row.medium for row in rows],
        '> 96 px': [row.large for row in rows],
    }
    wide = max(len(name) for name in counts)
    print(' ' * wide + ''.join(f'{row.name:>10}' for row in rows))
    for name, values in counts.items():
        print(f'{name:{wide}}' + ''.join(f'{value:>10}' for value in values))
    print(f'{"size":{wide}}  ' + '; '.join(f'{row.name} {row.sizes}' for row in rows))
    if options.sheet is not None:
        print(f'contact sheet: {options.sheet}')
    shown = faults if options.all else faults[:options.show]
    sys.stdout.flush()  # the faults, on stderr, come after the table
    for fault in shown:
        print(fault, file=sys.stderr)
    if len(faults) > len(shown):
        print(f'and {len(faults) - len(shown)} more (--all shows them)', file=sys.stderr)
    kinds = Counter(fault.kind for fault in faults)
    told = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common())
    print(f'faults: {told}' if faults else 'no faults')
