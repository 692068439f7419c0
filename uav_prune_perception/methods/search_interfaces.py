# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of searches: structures tried one after another, or in generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

if TYPE_CHECKING:
    from uav_prune_perception.training.task import LearningTask

    from .interfaces import Keep, LevelContext, Scores


@dataclass(frozen=True)
class Trial:
    """What came of one proposal.

    Attributes:
        index: number of the proposal, from 0.
        keep: the proposal.
        accuracy: on the validation split, after the short training of ``search:``.
        cost: by the level's budget.
    """

    index: int
    keep: Keep
    accuracy: float
    cost: float


class SearchRun(Protocol):
    """A search in progress. Its state is saved after every trial."""

    def propose(self) -> Keep | None:
        """The next structure to try: also which filters it inherits; None ends the search."""
        ...

    def inherit(self, small: nn.Module, keep: Keep) -> None:
        """Change what the compact candidate starts with; as it comes, it has all kept weights."""
        ...

    def tell(self, trial: Trial) -> bool:
        """Take in a result; True if it is the best so far: the driver keeps its weights."""
        ...

    def best(self) -> Keep:
        """The structure that won; one for which `tell` said True."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, strings, lists and dicts of them; random state included."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        ...


class StructureSearch(Protocol):
    """Tries structures and judges them by their accuracy after a short training."""

    def begin(self, context: LevelContext, scores: Scores | None) -> SearchRun:
        """Start a search; ``scores`` are the method's, if it has that slot."""
        ...

    def trials(self) -> int:
        """About how many proposals there will be, for the progress bar."""
        ...


@dataclass(frozen=True)
class Proposal:
    """A structure of a population.

    Attributes:
        keep: which channels, and so which filters, the candidate takes over.
        weights: parameters and buffers (by name, in the shape of ``context.model``) that it
            starts with in place of the model's.
    """

    keep: Keep
    weights: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What came of one proposal.

    Attributes:
        index: number of the proposal in the whole search, from 0.
        keep: the proposal's.
        fitness: larger is better; minus infinity where it failed (a loss that is not finite).
        cost: by the level's budget.
        fault: why it failed, or ''.
    """

    index: int
    keep: Keep
    fitness: float
    cost: float
    fault: str = ''


class PopulationRun(Protocol):
    """A search by generations in progress. Its state is saved after every verdict."""

    def propose(self) -> Sequence[Proposal]:
        """The next structures to try, each apart from the others; none ends the search.

        They are judged in any order, perhaps at the same time. After a resume it is asked again
        from the state that it had, and must propose the same.
        """
        ...

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """The results of all that was proposed last, in that order."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON values; random state included."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        ...


class Fitness(Protocol):
    """Judges a candidate in place of its accuracy on the validation split."""

    def __call__(self, model: nn.Module, task: LearningTask) -> float:
        """Larger is better; looks at nothing but train and val. Can be pickled."""
        ...


class PopulationSearch(Protocol):
    """Tries generations of structures, apart from each other; the fittest of all is the level.

    Each is trained with the settings of ``search:`` first; with 0 epochs only its BatchNorm
    statistics are measured anew. ``search.workers`` processes judge.
    """

    def begin(self, context: LevelContext, scores: Scores | None) -> PopulationRun:
        """Start a search; ``scores`` are the method's, if it has that slot."""
        ...

    def fitness(self, context: LevelContext) -> Fitness | None:
        """How candidates are judged; None: by their accuracy on the validation split."""
        ...

    def size(self) -> int:
        """About how many candidates there will be, for the progress bar."""
        ...
