# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finished levels become a ladder."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uav_prune_perception import __version__
from uav_prune_perception.ladder import Accuracy, DeviceProfile, Ladder, LadderWriter, Variant
from uav_prune_perception.training.task import LearningTask

from .evaluation_details import Details

PACKAGES = ('torch', 'onnx', 'onnxruntime', 'numpy')
# A writer needs seconds. An older hidden folder is what a killed process has left.
LEFTOVER_AGE_S = 600.0


@dataclass(frozen=True)
class ExportedLevel:
    """A level whose files all exist.

    Attributes:
        name: of the level.
        macs: multiply-accumulates of one picture.
        kept_macs: share of the dense network's.
        params: trainable parameters.
        accuracy: of the exported file, on the test split.
        files: by their names in the ladder.
        variants: in other precisions; their files are among ``files``.
        details: of the evaluation, for the report.
    """

    name: str
    macs: int
    kept_macs: float
    params: int
    accuracy: Accuracy
    files: Mapping[str, Path]
    variants: Mapping[str, Variant] = field(default_factory=dict)
    details: Details = field(default_factory=Details)


def write_ladder(
    folder: Path,
    levels: Sequence[ExportedLevel],
    *,
    name: str,
    task: LearningTask,
    method: str,
    seed: int,
    recipe: dict[str, Any],
    device: str,
    profiles: Mapping[tuple[str, str], DeviceProfile],
    training: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
) -> Ladder:
    """Copy the files and write ladder.json; the folder appears whole or not at all.

    Raises:
        LadderError: the target exists and may not be replaced.
        OSError: the disk is full.
    """
    discard_leftovers(folder)
    writer = LadderWriter(
        folder, name=name, task=task.kind, classes=task.classes, input=task.input,
        decode=task.decode, overwrite=overwrite,
        provenance={
            'created': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
            'method': method, 'seed': seed, 'recipe': recipe,
            'data_sha256': task.data_sha256, 'packages': package_versions(),
            'training': [dict(curve) for curve in training],
            'evaluation': {level.name: level.details for level in levels if level.details},
        },
    )
    with writer:
        for level in levels:
            target = writer.level_folder(level.name)
            for file, source in level.files.items():
                shutil.copyfile(source, target / file)
            writer.add_level(
                level.name, kept_macs=level.kept_macs, macs=level.macs, params=level.params,
                accuracy=level.accuracy, profiles={device: profiles[level.name, 'fp32']},
                variants={
                    precision: replace(variant, profiles={device: profiles[level.name, precision]})
                    if (level.name, precision) in profiles
                    else variant
                    for precision, variant in level.variants.items()
                },
            )
        return writer.commit()


def package_versions() -> dict[str, str]:
    """What decides the result besides the recipe."""
    versions = {'uav_prune_perception': __version__, 'python': platform.python_version()}
    for package in PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


def discard_leftovers(folder: Path) -> None:
    """Remove hidden folders that a killed writer of the same ladder has left."""
    folder = folder.expanduser().absolute()
    if not folder.parent.is_dir():
        return
    for path in folder.parent.glob(f'.{folder.name}.partial-*'):
        if time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
            shutil.rmtree(path, ignore_errors=True)
