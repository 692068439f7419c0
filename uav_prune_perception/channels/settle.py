# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Trial cuts: a group that does not reproduce is found by bisection and frozen.

The graph cannot see everything. A size that is written as a number in the user's forward looks
like any other; only running the compact network tells. All groups are tried at once; only if that
fails are they halved until the culprits stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import ChannelError, ForwardError
from .groups import Group

Check = Callable[[Sequence[Group]], 'Problem | None']
"""Cut these groups together, and say what went wrong, or None."""

Rescue = Callable[[Sequence[Group], Group], bool]
"""Make the last group work beside the accepted ones by other means; say whether it does."""


@dataclass(frozen=True)
class Problem:
    """What went wrong in a trial, and in which module ('' where unknown)."""

    text: str
    module: str = ''


def settle(
    groups: Sequence[Group], check: Check, rescue: Rescue
) -> tuple[list[Group], dict[str, str]]:
    """The groups that can be cut together, and for the others what went wrong.

    Costs one check when all is well. A failure that names a module is tried first without the
    groups of that module; what cannot be told that way is bisected.
    """
    failed: dict[str, str] = {}
    aside: list[Group] = []
    trusted = list(groups)
    problem = check(trusted)
    while problem is not None and problem.module:
        suspects = [group for group in trusted if _touches(group, problem.module)]
        if not suspects:
            break
        aside += suspects
        trusted = [group for group in trusted if group not in suspects]
        problem = check(trusted) if trusted else None

    def accept(candidates: Sequence[Group], accepted: list[Group]) -> list[Group]:
        if not candidates:
            return accepted
        problem = check([*accepted, *candidates])
        if problem is None:
            return [*accepted, *candidates]
        if len(candidates) == 1:
            if rescue(accepted, candidates[0]):
                return [*accepted, candidates[0]]
            failed[candidates[0].name] = problem.text
            return accepted
        middle = len(candidates) // 2
        return accept(candidates[middle:], accept(candidates[:middle], accepted))

    accepted = trusted if problem is None else accept(trusted, [])
    for group in aside:
        accepted = accept([group], accepted)
    return accepted, failed


def _touches(group: Group, module: str) -> bool:
    """The group makes or reads channels in the module, or in what lies inside it."""
    return any(f'{slot.parameter}.'.startswith(f'{module}.') for slot in group.members)


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


def problem_of(run: Callable[[], float], tolerance: float) -> Problem | None:
    """What went wrong in a check: the exception, or the error if it exceeds ``tolerance``."""
    try:
        error = run()
    except ForwardError as problem:
        return Problem(str(problem), problem.module)
    except ChannelError as problem:
        return Problem(str(problem))
    if error <= tolerance:
        return None
    return Problem(f'a trial cut changed the output (relative error {error:.1e})')
