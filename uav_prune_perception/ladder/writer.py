# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a ladder so that a kill or a full disk never leaves half of one."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import TracebackType
from typing import Any

from .document import digest, to_document, validate
from .durable import flush, replacing
from .model import (
    DOCUMENT,
    Accuracy,
    DecodeSpec,
    DeviceProfile,
    InputSpec,
    Ladder,
    LadderError,
    Level,
    LevelFile,
    Task,
    Variant,
)
from .reader import open_ladder, read_document, sha256_of
from .staging import Staging
from .swap import swap_in

LEVEL_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]{0,63}')  # as in ladder.schema.json


class LadderWriter:
    """Collects levels in a hidden folder beside the target; `commit` makes it appear at once.

    Used as a context manager: leaving without `commit` removes the hidden folder; that of a
    killed writer goes when the next one begins.

    Example:
        with LadderWriter(path, name='scenes', task='detection', ...) as writer:
            folder = writer.add_level('100', kept_macs=1.0, ...)   # then write files into it
            writer.commit()
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str,
        task: Task,
        classes: tuple[str, ...],
        input: InputSpec,
        decode: DecodeSpec,
        provenance: dict[str, Any],
        overwrite: bool = False,
    ) -> None:
        """Check the target before any work is done.

        Raises:
            LadderError: the target exists (and ``overwrite`` is false, or it is no ladder).
        """
        self.folder = Path(folder).expanduser().absolute()
        check_target(self.folder, overwrite=overwrite)
        self._ladder = Ladder(name, task, tuple(classes), input, decode, provenance, levels=())
        self._hidden = Staging(self.folder)
        self._staging = self._hidden.path

    def __enter__(self) -> LadderWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hidden.remove()

    def level_folder(self, name: str) -> Path:
        """The (new, empty) folder into which a level's files are to be written.

        Raises:
            LadderError: the name cannot be a level's, or is taken.
        """
        if not LEVEL_NAME.fullmatch(name):
            raise LadderError(f'level name "{name}": letters, digits, - and _ only, at most 64')
        folder = self._staging / 'levels' / name
        if folder.exists():
            raise LadderError(f'level "{name}" is in the ladder already')
        folder.mkdir(parents=True)
        return folder

    def add_level(
        self,
        name: str,
        *,
        kept_macs: float,
        macs: int,
        params: int,
        accuracy: Accuracy,
        profiles: dict[str, DeviceProfile] | None = None,
        variants: dict[str, Variant] | None = None,
    ) -> None:
        """Record a level whose files now lie in its `level_folder`.

        Raises:
            LadderError: `level_folder` was never asked for this level.
        """
        files = {}
        folder = self._staging / 'levels' / name
        if not LEVEL_NAME.fullmatch(name) or not folder.is_dir():
            raise LadderError(f'level "{name}" has no files: write them into level_folder first')
        for path in sorted(folder.iterdir()):
            relative = path.relative_to(self._staging).as_posix()
            files[path.name] = LevelFile(relative, sha256_of(path), path.stat().st_size)
        level = Level(name, kept_macs, macs, params, accuracy, files, dict(profiles or {}))
        level = dataclasses.replace(level, variants=dict(variants or {}))
        levels = (*self._ladder.levels, level)
        self._ladder = dataclasses.replace(self._ladder, levels=levels)

    def add_report(self, name: str, text: str) -> None:
        """A text file at the top of the ladder folder (``report.html``, ``report.md``)."""
        if not name or Path(name).name != name or name == DOCUMENT:
            raise LadderError(f'report name "{name}" is not a plain file name')
        (self._staging / name).write_text(text, encoding='utf-8')

    def commit(self) -> Ladder:
        """Seal, flush to disk, open and verify what was written, rename into place.

        Raises:
            LadderError: the document breaks the schema.
            OSError: the disk is full or the target cannot be written; nothing is left behind.
        """
        write_document(self._staging, to_document(self._ladder))
        for path in sorted(self._staging.rglob('*')):
            flush(path)
        flush(self._staging)
        ladder = open_ladder(self._staging)  # only a sound ladder may replace an old one
        swap_in(self._staging, self.folder)
        return dataclasses.replace(ladder, folder=self.folder)


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse a target that would lose somebody's files.

    Raises:
        LadderError: the target exists and may not be replaced.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not overwrite:
        raise LadderError(f'{folder}: exists already; choose another name or add --overwrite')
    if not (folder / DOCUMENT).is_file():
        raise LadderError(f'{folder}: exists and is not a ladder; it will not be replaced')


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Write ladder.json atomically (temporary file, fsync, rename)."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + '\n'
    with replacing(folder / DOCUMENT) as temporary:
        temporary.write_text(text, encoding='utf-8')


def add_profiles(
    ladder: Ladder, device: str, profiles: dict[str, DeviceProfile], precision: str = 'fp32'
) -> Ladder:
    """Record measured profiles (by level name) under a device's name; returns the new ladder.

    Args:
        ladder: as opened.
        device: `onboard.telemetry.machine.device_name` of where they were measured.
        profiles: by level name; the others keep theirs.
        precision: of the files that were measured.

    Raises:
        LadderError: a profile of a level, or of a variant, that the ladder does not have.
        OSError: the ladder's folder cannot be written.
    """
    for name in profiles:
        ladder.level(name).precision(precision)
    levels = tuple(
        _with_profile(level, device, profiles[level.name], precision)
        if level.name in profiles
        else level
        for level in ladder.levels
    )
    ladder = dataclasses.replace(ladder, levels=levels)
    write_document(ladder.folder, to_document(ladder))
    return ladder


def _with_profile(level: Level, device: str, profile: DeviceProfile, precision: str) -> Level:
    variant = level.precision(precision)
    variant = dataclasses.replace(variant, profiles={**variant.profiles, device: profile})
    if precision == 'fp32':
        return dataclasses.replace(level, profiles=variant.profiles)
    return dataclasses.replace(level, variants={**level.variants, precision: variant})


def reseal(folder: str | Path) -> Ladder:
    """Accept a hand-edited ladder.json: renew its digest. Schema and checksums still must hold."""
    path = Path(folder).expanduser()
    document = read_document(path)
    if isinstance(document, dict):
        document['digest'] = digest(document)
    write_document(path, validate(document, where=str(path / DOCUMENT)))
    return open_ladder(path)
