# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training run: written whole or not at all, loaded as plain tensors."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uav_prune_perception.ladder.durable import replacing

from .task import TrainingError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write atomically: temporary file, flush to disk, rename.

    Raises:
        TrainingError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        reason = _full(path, state) or (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise TrainingError(f'{path}: checkpoint cannot be written: {reason}') from None


def _full(path: Path, state: dict[str, Any]) -> str:
    """Whether that is why: torch only says that a position in the file is not what it wanted."""
    needed = sum(value.nbytes for value in _tensors(state))
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ''
    if free > 1.1 * needed + 1e6:
        return ''
    return (
        f'the disk is full ({free / 1e6:.1f} MB are free, {needed / 1e6:.1f} MB needed); the one '
        'before it is whole: make room and start the same command again'
    )


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (dict, list, tuple)):
        for value in state.values() if isinstance(state, dict) else state:
            yield from _tensors(value)


def load_checkpoint(path: Path, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
    """State of an earlier, interrupted run of the same kind; None where there is none.

    Raises:
        TrainingError: damaged, or of a run with other settings.
    """
    if not path.exists():
        return None
    mend = 'delete it to start anew, or give another checkpoint name'
    try:
        state: dict[str, Any] = torch.load(path, map_location='cpu', weights_only=True)
        found = state['fingerprint']
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise TrainingError(f'{path}: damaged checkpoint ({reason}); {mend}') from None
    differing = [key for key, value in fingerprint.items() if found.get(key) != value]
    if differing:
        raise TrainingError(f'{path}: of another run (other {", ".join(differing)}); {mend}')
    return state
