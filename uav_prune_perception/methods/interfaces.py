# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary in which every pruning method is written.

A method is a composition of slots (shared specification, METHODS.md 5.2): who matters
(`ImportanceScore`) and how many stay where (`RatioAllocator`). The slots that only some methods
fill (a sparsity regulariser and a mask controller during training, a search over structures)
come with those methods; the driver is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph
    from uav_prune_perception.training.task import LearningTask

# One number for each channel of a group: float32 [width], larger = keep.
Scores = Mapping[str, Tensor]
# Which channels stay: bool [width] by group name.
Keep = dict[str, Tensor]
# Multiply-accumulates of the network with these channels.
CostOf = Callable[[Keep], float]


class MethodError(ValueError):
    """A method or a budget cannot do what is asked. One line, ready to print."""


@dataclass(frozen=True)
class Bounds:
    """What an allocator must respect in one group.

    Attributes:
        least: the group gets no narrower.
        round_to: its width is a multiple of this, or all of it, or ``least``.
    """

    least: int
    round_to: int = 1

    def fitted(self, count: int, width: int) -> int:
        """The nearest count that is allowed in a group of ``width`` channels."""
        rounded = round(count / self.round_to) * self.round_to
        return width if count >= width else max(self.least, min(width, rounded))


class ImportanceScore(Protocol):
    """Says which channels matter."""

    def score(self, model: nn.Module, graph: ChannelGraph, task: LearningTask) -> Scores:
        """A score for every channel of every group of ``graph``."""
        ...


class RatioAllocator(Protocol):
    """Says how many channels stay in which group."""

    def allocate(
        self, scores: Scores, cost: CostOf, target_macs: float, bounds: Mapping[str, Bounds]
    ) -> Keep:
        """Choose the channels that stay so that the network costs ``target_macs`` within 1 %.

        Raises:
            MethodError: the budget cannot be reached within the bounds.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A pruning method: its parts, by slot."""

    score: ImportanceScore
    allocator: RatioAllocator


class Reporter(Protocol):
    """Who is told how the work goes."""

    def phase(self, title: str, steps: int) -> None:
        """A phase of ``steps`` steps begins."""
        ...

    def step(self, done: int, text: str = '') -> None:
        """``done`` steps of the phase are behind us."""
        ...

    def note(self, text: str) -> None:
        """A result worth a line that stays."""
        ...

    def warn(self, text: str) -> None:
        """Something the user should know."""
        ...
