# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a job keeps what it has finished, so that the next run starts from there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from uav_prune_perception.ladder.durable import flush
from uav_prune_perception.training.ranks import ALONE, Ranks

from .run_log import RunLog

MARK = 'run.json'
STAGE = 'stage.json'


class RunFolderError(RuntimeError):
    """A run folder cannot be used. One line, ready to print."""


def fingerprint(*parts: Any) -> str:
    """12 hex digits that change with any of ``parts`` (plain JSON values)."""
    text = json.dumps(parts, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class RunFolder:
    """A folder of finished stages, held by one job at a time.

    A stage is a folder ``<name>-<fingerprint of all that decides it>``: whatever was finished
    with the same settings is found again, and other settings never collide with it. It appears
    by one rename, so it is whole or absent.

    Args:
        folder: created when absent; an existing one must be a run folder or empty.
        fresh: throw away what earlier runs have finished.
        ranks: the job's processes, which all see the folder. The first writes, and says what is
            there; the others wait for it.
        tensorboard: see `RunLog`.

    Attributes:
        log: of what happens.
        asked: the stages that this run needs, as far as it got.

    Raises:
        RunFolderError: the folder holds something else, or another run uses it.
    """

    def __init__(
        self, folder: str | Path, *, fresh: bool = False, ranks: Ranks = ALONE,
        tensorboard: bool = False,
    ) -> None:
        self.path, self.ranks = Path(folder).expanduser().absolute(), ranks
        self.log = RunLog(self.path, writes=ranks.first, tensorboard=tensorboard)
        self.asked: dict[str, None] = {}
        self._lock: int | None = None
        if ranks.first:
            self._claim()
            if fresh:
                self._empty()
            for leftover in self.path.glob('.*.partial-*'):
                shutil.rmtree(leftover, ignore_errors=True)
        ranks.wait()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def stage(self, name: str, key: str) -> Path | None:
        """The folder of a finished stage, or None."""
        self.asked[f'{name}-{key}'] = None
        folder = self.path / f'{name}-{key}'
        return folder if self.ranks.decide((folder / STAGE).is_file) else None

    def finish(self, name: str, key: str, write: Callable[[Path], dict[str, Any]]) -> Path:
        """Make a stage: ``write`` fills its folder and returns the facts for its stage.json."""
        target = self.path / f'{name}-{key}'
        if self.ranks.first:
            self._make(target, name, write)
        self.ranks.wait()
        return target

    def _make(self, target: Path, name: str, write: Callable[[Path], dict[str, Any]]) -> None:
        staging = Path(tempfile.mkdtemp(prefix=f'.{name}.partial-', dir=self.path))
        try:
            facts = write(staging)
            text = json.dumps(facts, indent=1, ensure_ascii=False) + '\n'
            (staging / STAGE).write_text(text, encoding='utf-8')
            for path in sorted(staging.rglob('*')):
                flush(path)
            shutil.rmtree(target, ignore_errors=True)  # without its stage.json: not a stage
            staging.rename(target)
            flush(self.path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise

    def facts(self, stage: Path) -> dict[str, Any]:
        """What `finish` recorded."""
        content = json.loads((stage / STAGE).read_text(encoding='utf-8'))
        return dict(content)

    def checkpoint(self, name: str, key: str) -> Path:
        """Where a stage in progress may keep its checkpoint."""
        return self.path / f'{name}-{key}.checkpoint'

    def scratch(self, name: str, key: str) -> Path:
        """A folder where a stage in progress may keep what it likes; made when first asked for."""
        folder = self.path / f'{name}-{key}.work'
        folder.mkdir(exist_ok=True)
        return folder

    def forget(self, name: str, key: str) -> None:
        """Remove what a stage in progress has kept: it is finished."""
        if not self.ranks.first:
            return
        self.checkpoint(name, key).unlink(missing_ok=True)
        shutil.rmtree(self.path / f'{name}-{key}.work', ignore_errors=True)

    def _claim(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f'{self.path}: is a file, not a run folder')
        marked = (self.path / MARK).is_file()
        if self.path.is_dir() and not marked and any(self.path.iterdir()):
            raise RunFolderError(f'{self.path}: holds other files; choose another --run-folder')
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / MARK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RunFolderError(
                f'{self.path}: another run is using it; wait for it or choose --run-folder'
            ) from None
        if os.fstat(self._lock).st_size == 0:
            os.write(self._lock, b'{"format": "uav_prune_perception/run"}\n')

    def _empty(self) -> None:
        for path in self.path.iterdir():
            if path.name == MARK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
