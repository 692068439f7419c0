# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy that never changes its mind."""

from __future__ import annotations

from dataclasses import dataclass

from .base import HOLD, STATIC, Decision, Observation


@dataclass(frozen=True)
class StaticOptions:
    """Options of `StaticPolicy`.

    Attributes:
        level: name of the level to run; '' = the heaviest usable one.
    """

    level: str = ''


class StaticPolicy:
    """Runs one level; the baseline of every comparison."""

    def __init__(self, options: StaticOptions | None = None) -> None:
        self.options = options or StaticOptions()

    def decide(self, observation: Observation) -> Decision:
        """The fixed level, or where that is broken, whatever runs."""
        usable = [level for level in observation.levels if level.usable]
        chosen = [level for level in usable if level.name == self.options.level]
        if not self.options.level:
            chosen = usable[:1]
        active = observation.levels[observation.active]
        if not chosen:
            reason = f'level {self.options.level} is not usable: stay at {active.name}'
            return Decision(active.index, HOLD, reason)
        if chosen[0].index == active.index:
            return Decision(active.index, HOLD, f'fixed at {active.name}')
        return Decision(chosen[0].index, STATIC, f'fixed at {chosen[0].name}')
