# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Trial cuts: a group that does not reproduce is found by bisection and frozen.

The graph cannot see everything. A size that is written as a number in the user's forward looks
like any other; only running the compact network tells. All groups are tried at once; only if that
fails are they halved until the culprits stand alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .errors import ChannelError
from .groups import Group

Check = Callable[[Sequence[Group]], str | None]
"""Cut these groups, and say what went wrong, or None."""


def bisect(groups: Sequence[Group], check: Check) -> tuple[list[Group], dict[str, str]]:
    """The groups that can be cut together, and for the others what went wrong.

    Costs one check when all is well and about ``2 * log2(len(groups))`` for each culprit.
    """
    failed: dict[str, str] = {}

    def accept(candidates: Sequence[Group], accepted: list[Group]) -> list[Group]:
        if not candidates:
            return accepted
        problem = check([*accepted, *candidates])
        if problem is None:
            return [*accepted, *candidates]
        if len(candidates) == 1:
            failed[candidates[0].name] = problem
            return accepted
        middle = len(candidates) // 2
        return accept(candidates[middle:], accept(candidates[:middle], accepted))

    accepted = accept(list(groups), [])
    return accepted, failed


def trial_masks(groups: Sequence[Group], seed: int) -> dict[str, Tensor]:
    """Random choices, between 40 and 75 % kept: counts differ between groups on purpose."""
    generator = torch.Generator().manual_seed(seed)
    masks: dict[str, Tensor] = {}
    for group in groups:
        share = 0.4 + 0.35 * float(torch.rand((), generator=generator))
        count = min(group.width - 1, max(1, round(share * group.width)))
        mask = torch.zeros(group.width, dtype=torch.bool)
        mask[torch.randperm(group.width, generator=generator)[:count]] = True
        masks[group.name] = mask
    return masks


def shaken(model: nn.Module, seed: int) -> nn.Module:
    """A copy whose every parameter matters.

    Fresh networks hide mistakes: BatchNorm is the identity, zero-initialised branches and layer
    scales of 1e-6 add nothing. Vectors become random; all-zero weights too.
    """
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            low = 0.5 if name.endswith('weight') else -0.5
            if sum(size > 1 for size in parameter.shape) <= 1:
                noise = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_(noise + low)
            elif not bool(parameter.abs().max() > 0):
                noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
        for name, buffer in model.named_buffers():
            if name.endswith(('running_mean', 'running_var')):
                low = 0.5 if name.endswith('var') else -0.5
                noise = torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
                buffer.copy_(noise + low)
    return model


def problem_of(run: Callable[[], float], tolerance: float) -> str | None:
    """What went wrong in a check: the exception, or the error if it exceeds ``tolerance``."""
    try:
        error = run()
    except ChannelError as problem:
        return str(problem)
    if error <= tolerance:
        return None
    return f'a trial cut changed the output (relative error {error:.1e})'
