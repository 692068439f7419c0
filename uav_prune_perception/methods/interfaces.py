# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary in which every pruning method is written.

A `Method` is a composition of slots (METHODS.md 5.2) and fills only those it needs. What a slot
has to know comes in one `LevelContext`. Slots describe; what has state while a phase runs (a
`FitHook`, a `SoftMasks`, a `SearchRun`) is made by their ``begin``; what a search is made of is
in `search_interfaces`. The driver is the same for all methods and owns training, compaction,
proof, resuming and export.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import nn

from uav_prune_perception.training.fit import FitHook

from .recipe import Recovery
from .search_interfaces import PopulationSearch, StructureSearch

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph, Cost
    from uav_prune_perception.training.task import LearningTask

# One number for each channel of a group: float [width], larger = keep; -inf: the channel is gone
# already (a level that follows another one, with residual reconstruction). With residual
# reconstruction a coupled group may have {producer's module path: float [width]} instead.
Scores = Mapping[str, Any]
# Which channels stay: bool [width] by group name (or {producer's module path: bool [width]}).
Keep = dict[str, Any]
# Price of the network with these channels.
CostOf = Callable[[Keep], float]
BudgetKind = Literal['macs', 'params']


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


@dataclass(frozen=True)
class Budget:
    """What a level may cost, and what a choice of channels costs.

    A level that asks for a measured latency reaches the slots as a budget of MACs: the driver
    searches the MACs that have this latency.

    Attributes:
        kind: what is counted.
        target: as many as the level may have.
        full: as many as the dense network has.
        cost: of a `Keep` of the context's graph, in the same unit; analytic, well below 10 ms.
    """

    kind: BudgetKind
    target: float
    full: float
    cost: CostOf

    @property
    def share(self) -> float:
        """Part of the dense network that may stay, 0..1."""
        return self.target / self.full

    def miss(self, keep: Keep) -> float:
        """How far ``keep`` is from the target, relative to it."""
        return abs(self.cost(keep) - self.target) / self.target

    def text(self, value: float) -> str:
        """``12.345 M MACs``."""
        return f'{value / 1e6:.3f} M {"MACs" if self.kind == "macs" else "parameters"}'


@dataclass(frozen=True)
class LevelContext:
    """Everything that a slot may want to know about the work at hand.

    Attributes:
        model: the network to work on, in evaluation mode on the CPU. A slot leaves it as it is,
            except a hook's, which is handed the network in training.
        graph: its channels.
        task: data, loss, accuracy. Splits: train to learn and calibrate, val to select.
        bounds: by group name.
        budget: of the level; None in a phase that all levels share.
        level: its name, or the phase's.
        seed: of all chance in the slot; differs from level to level.
        reporter: is told.
        dense: the trained dense network (also the teacher); None if the method trains none.
        dense_cost: of the dense network.
        folder: for files that the slot wants to leave to later runs of the same level.
        device: where a slot may compute: 'cpu', 'cuda', ...
    """

    model: nn.Module
    graph: ChannelGraph
    task: LearningTask
    bounds: Mapping[str, Bounds]
    budget: Budget | None
    level: str
    seed: int
    reporter: Reporter
    dense: nn.Module | None
    dense_cost: Cost
    folder: Path | None = None
    device: str = 'cpu'

    @property
    def asked(self) -> Budget:
        """The budget, where there must be one."""
        assert self.budget is not None, 'only a level has a budget'
        return self.budget


class ImportanceScore(Protocol):
    """Says which channels matter."""

    def score(self, context: LevelContext) -> Scores:
        """A score for every channel of every group of ``context.graph``."""
        ...


class RatioAllocator(Protocol):
    """Says how many channels stay in which group."""

    def allocate(self, scores: Scores, budget: Budget, context: LevelContext) -> Keep:
        """Choose the channels that stay so that they cost ``budget.target`` within 1 %.

        The budget is an argument of its own because the driver varies it when it searches for a
        latency; it may be called several times with the same scores.

        Raises:
            MethodError: the budget cannot be reached within ``context.bounds``.
        """
        ...


class SparseTraining(Protocol):
    """Regularised training of the dense network before the first cut, shared by all levels."""

    def begin(self, context: LevelContext) -> FitHook:
        """The hook of that training; ``context.model`` is the network that will be trained."""
        ...


class SoftMasks(FitHook):
    """A hook that masks channels while the network learns, and lets them come back."""

    def keep(self, budget: Budget) -> Keep:
        """The final cut, which costs ``budget.target`` within 1 %; called after training."""
        raise NotImplementedError


class SoftPruning(Protocol):
    """The level is made by one training run with masks; what they hold at the end is the cut."""

    @property
    def start(self) -> Literal['scratch', 'dense']:
        """What the run starts from: initial weights, or those of the level above."""
        ...

    def begin(self, context: LevelContext) -> SoftMasks:
        """The hook of one run; ``context.model`` is the network that will be trained."""
        ...


@dataclass(frozen=True)
class Method:
    """A pruning method: its parts, by slot.

    How a level's channels are chosen: by ``in_training`` if it is filled, else by ``population``
    or ``search``, else by ``score`` and ``allocator``.

    Attributes:
        score: who matters.
        allocator: how many stay where; None: what ``prune.allocation`` says.
        allocation: the name that counts where the recipe gives none.
        sparse: a phase before the first cut; its settings are ``sparse:`` in the recipe.
        in_training: the level is made in one training run; its settings are ``soft:``, or
            ``train:`` where the recipe has no ``soft:``.
        search: the level is searched; the settings of each trial are ``search:``.
        population: likewise, by generations of candidates that are judged apart.
        residual: branches of an addition keep channels of their own.
        recovery: after the cut. ``finetune``: with the settings of ``finetune:``; ``retrain``:
            with those of ``train:``, from the weights that the cut left; ``scratch``: likewise
            from initial weights; ``none``. ``prune.recovery`` overrides it.
        meets_budget: False only where the paper's method has no budget (the result is reported
            as it comes).
    """

    score: ImportanceScore | None = None
    allocator: RatioAllocator | None = None
    allocation: str = 'global'
    sparse: SparseTraining | None = None
    in_training: SoftPruning | None = None
    search: StructureSearch | None = None
    population: PopulationSearch | None = None
    residual: bool = False
    recovery: Recovery = 'finetune'
    meets_budget: bool = True

    def __post_init__(self) -> None:
        ways = [self.in_training, self.search, self.population]
        if sum(way is not None for way in ways) > 1:
            raise MethodError('a method has one of masks in training, a search, a population')
        if self.score is None and not self.searches and self.in_training is None:
            raise MethodError('a method needs a score, masks in training or a search')

    @property
    def searches(self) -> bool:
        """Whether levels are searched, one way or the other."""
        return self.search is not None or self.population is not None

    @property
    def needs_dense(self) -> bool:
        """Whether a level starts from a trained dense network."""
        return self.in_training is None or self.in_training.start == 'dense'


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
