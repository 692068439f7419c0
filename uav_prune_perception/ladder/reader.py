# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Open a ladder and believe nothing: schema, digest, path confinement, sizes, checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath

from .document import from_document, validate
from .model import DOCUMENT, Ladder, LadderError, LevelFile


def open_ladder(
    folder: str | Path, *, checksums: bool = True, damaged: dict[str, str] | None = None
) -> Ladder:
    """Read and verify a ladder.

    Args:
        folder: the ladder folder.
        checksums: also hash every file (reads them all); sizes are always compared.
        damaged: takes up the levels whose files are missing or damaged, name to reason, for who
            can do with the others; while one is sound, such files raise nothing.

    Raises:
        LadderError: one line naming the folder, the fault and the mend.
    """
    folder = Path(folder).expanduser()
    document = validate(read_document(folder), where=str(folder / DOCUMENT))
    ladder = from_document(document, folder)
    faults: dict[str, str] = {}
    for level in ladder.levels:
        paths = [confined(folder, file.path) for file in level.files.values()]
        try:
            for path, file in zip(paths, level.files.values(), strict=True):
                _check_file(folder, path, file, checksums=checksums)
        except LadderError as error:
            faults[level.name] = str(error)
            if damaged is None or len(faults) == len(ladder.levels):
                raise
    if damaged is not None:
        damaged.update(faults)
    return ladder


def read_document(folder: Path) -> object:
    """The parsed, unverified ladder.json.

    Raises:
        LadderError: no folder, no document, or not JSON.
    """
    path = folder / DOCUMENT
    try:
        if not folder.is_dir():
            raise LadderError(f'{folder}: no such ladder folder')
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise LadderError(f'{folder}: not a ladder, {DOCUMENT} is missing') from None
    except (OSError, UnicodeDecodeError) as error:
        raise LadderError(f'{path}: cannot be read: {error}') from None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LadderError(f'{path}: not valid JSON ({error}); copy the ladder again') from None


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} is not a JSON number')


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    value = hashlib.sha256()
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            value.update(block)
    return value.hexdigest()


def confined(folder: Path, relative: str) -> Path:
    """The absolute path of ``relative`` inside ``folder``, links resolved.

    Raises:
        LadderError: the path is absolute, climbs out, or a link leads out.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or '..' in pure.parts or '\\' in relative or '\0' in relative:
        raise LadderError(f'{folder}: path "{relative}" leaves the ladder folder')
    try:
        path = (folder / pure).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise LadderError(f'{folder}: path "{relative}" leads nowhere: {error}') from None
    if not path.is_relative_to(folder.resolve()):
        raise LadderError(f'{folder}: path "{relative}" is a link out of the ladder folder')
    return path


def _check_file(folder: Path, path: Path, file: LevelFile, *, checksums: bool) -> None:
    mend = 'copy the ladder again or rebuild it'
    try:
        if not path.is_file():
            raise LadderError(f'{folder}: {file.path} is missing; {mend}')
        size = path.stat().st_size
        if size != file.bytes:
            raise LadderError(f'{folder}: {file.path} has {size} bytes, not {file.bytes}; {mend}')
        if checksums and sha256_of(path) != file.sha256:
            raise LadderError(f'{folder}: {file.path} is damaged (sha256 differs); {mend}')
    except OSError as error:
        reason = error.strerror or error
        raise LadderError(f'{folder}: {file.path} cannot be read: {reason}; {mend}') from None
