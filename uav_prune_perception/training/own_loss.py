# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user's detector gives in training, checked where it comes in.

A slip in ``training_loss`` or ``decoded`` otherwise shows as an error deep in the package.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .ranks import processes, watching
from .task import TrainingError

HELP = 'see docs/own_model.md'


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Whatever the user's code raises is said to be of ``what``.

    A lack of memory is not, nor a process that has gone: BatchNorm speaks to the others too.
    """
    try:
        with watching() if processes() > 1 else contextlib.nullcontext():
            yield
    except (TrainingError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        text = ' '.join(str(error).split())[:200]
        if 'memory' in text.lower():
            raise
        raise TrainingError(f'{what}: {type(error).__name__}: {text}') from error


def own_loss(model: nn.Module, raw: Any, targets: Tensor) -> Tensor:
    """What the detector's ``training_loss`` makes of its answer: one number with a gradient.

    Raises:
        TrainingError: it fails, or gives something else.
    """
    name = f'{type(model).__name__}.training_loss'
    with blaming(name):
        loss = model.training_loss(raw, targets)  # type: ignore[operator]
    if not isinstance(loss, Tensor):
        raise TrainingError(
            f'{name}: gives a {type(loss).__name__}, wanted one number as a tensor (of several '
            f'losses, the sum); {HELP}'
        )
    if loss.numel() != 1:
        raise TrainingError(
            f'{name}: gives a tensor {list(loss.shape)}, wanted one number (its sum or mean)'
        )
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise TrainingError(
            f'{name}: gives a number without a gradient, from which nothing is learnt; leave out '
            'detach(), no_grad() and item()'
        )
    return loss.reshape(())


def own_decoded(model: nn.Module, raw: Any, wanted: Tensor) -> Tensor:
    """What the detector's ``decoded`` makes of its answer in training.

    Args:
        model: the detector.
        raw: its answer in training.
        wanted: the teacher's answer in evaluation, [B, 4 + classes, N].

    Raises:
        TrainingError: it fails, or gives another shape.
    """
    name = f'{type(model).__name__}.decoded'
    with blaming(name):
        found = model.decoded(raw)  # type: ignore[operator]
    shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != list(wanted.shape):
        raise TrainingError(
            f'{name}: gives {shape}, but in evaluation the network gives {list(wanted.shape)}; '
            f'both must be the same; {HELP}'
        )
    if torch.is_grad_enabled() and not found.requires_grad:
        raise TrainingError(f'{name}: gives a tensor without a gradient; leave out detach()')
    assert isinstance(found, Tensor)
    return found


def check_maps(model: nn.Module, raw: Any) -> None:
    """A detector without a loss of its own gives what our loss reads.

    Raises:
        TrainingError: it gives something else.
    """
    if isinstance(raw, (list, tuple)) and raw and all(
        isinstance(one, Tensor) and one.dim() == 4 for one in raw
    ):
        return
    shape = f' {list(raw.shape)}' if isinstance(raw, Tensor) else ''
    raise TrainingError(
        f'{type(model).__name__}: has no method training_loss(output, targets), and gives in '
        f'training a {type(raw).__name__}{shape}, not the list of [batch, 4 * bins + classes, '
        f'rows, columns] that our loss reads; {HELP}'
    )
