# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run folder tells of what happened: who ran what when, and every epoch's figures."""

from __future__ import annotations

import csv
import datetime
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypedDict

from uav_prune_perception.export.ladder_export import package_versions
from uav_prune_perception.training.fit_options import EpochRecord

from .interfaces import MethodError

RUNS, METRICS, BOARD = 'runs.jsonl', 'metrics.csv', 'tensorboard'
COLUMNS = ('stage', 'phase', 'epoch', 'loss', 'lr', 'seconds', 'accuracy')


class Curve(TypedDict):
    """One training run: a value for each epoch; accuracy on val where it was asked for."""

    phase: str
    loss: list[float]
    accuracy: list[float | None]


class RunLog:
    """Appends to two files of a run folder, and to TensorBoard's where that is asked for.

    ``runs.jsonl`` has a line for each start, ``metrics.csv`` one for each epoch. An epoch that a
    killed run had not saved is there twice; the later line counts.

    Args:
        folder: the run folder.
        writes: whether this process is the one that writes.
        tensorboard: also write ``tensorboard/<stage>/``.

    Raises:
        MethodError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, writes: bool = True, tensorboard: bool = False) -> None:
        self.folder, self.writes, self.tensorboard = folder, writes, tensorboard
        if tensorboard and importlib.util.find_spec('tensorboard') is None:
            raise MethodError(
                '--tensorboard: is not installed; pip install "uav_prune_perception[tensorboard]"'
            )

    def begin(self, recipe: dict[str, Any], processes: int) -> None:
        """Note a start: when, what, on which machine, with which packages and commit."""
        if not self.writes:
            return
        line = {
            'started': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
            'command': sys.argv, 'processes': processes, 'cores': os.cpu_count(),
            'machine': platform.platform(), 'packages': package_versions(),
            'commit': commit_of(Path(__file__).parent), 'recipe': recipe,
        }
        with (self.folder / RUNS).open('a', encoding='utf-8') as file:
            file.write(json.dumps(line) + '\n')

    def epoch(self, stage: str, phase: str, record: EpochRecord) -> None:
        """Note an epoch of the training of ``stage``."""
        if not self.writes:
            return
        path = self.folder / METRICS
        fresh = not path.exists()
        accuracy = '' if record.accuracy is None else f'{record.accuracy:.6g}'
        with path.open('a', encoding='utf-8', newline='') as file:
            rows = csv.writer(file)
            if fresh:
                rows.writerow(COLUMNS)
            rows.writerow((
                stage, phase, record.epoch + 1, f'{record.loss:.6g}', f'{record.lr:.6g}',
                f'{record.seconds:.3f}', accuracy,
            ))
        if self.tensorboard:
            self._scalars(stage, record)

    def curves(self, stages: Collection[str]) -> list[Curve]:
        """The training runs of these stages, in the order in which they were first noted."""
        path = self.folder / METRICS
        if not path.exists():
            return []
        found: dict[tuple[str, str], dict[int, dict[str, str]]] = {}
        with path.open(encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                if row['stage'] in stages:
                    found.setdefault((row['stage'], row['phase']), {})[int(row['epoch'])] = row
        return [
            {
                'phase': phase, 'loss': [float(row['loss']) for row in rows.values()],
                'accuracy': [float(row['accuracy']) if row['accuracy'] else None
                             for row in rows.values()],
            }
            for (_, phase), rows in found.items()
        ]

    def _scalars(self, stage: str, record: EpochRecord) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder / BOARD / stage)) as board:
            for name in ('loss', 'lr', 'seconds', 'accuracy'):
                value = getattr(record, name)
                if value is not None:
                    board.add_scalar(name, value, record.epoch + 1)


def commit_of(folder: Path) -> str | None:
    """The git commit of a working tree, with ``+`` where files differ from it; None outside."""
    try:
        found = subprocess.run(
            ['git', '-C', str(folder), 'describe', '--always', '--abbrev=40', '--dirty=+'],
            capture_output=True, text=True, timeout=10, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
