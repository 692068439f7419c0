# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy mode: cut while accuracy on held-out pictures bears it, roll back where it does not.

After AAP (AISTATS 2023): lower kappa by a step, cut, train shortly, evaluate. Accepted: go on
from these weights. Not accepted: back to the last accepted ones with half the step; after three
failures one more accepted cut is given up.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from uav_prune_perception.channels import compact
from uav_prune_perception.methods.allocation import Ranking
from uav_prune_perception.methods.expansion import expanded
from uav_prune_perception.methods.interfaces import Keep, LevelContext, MethodError, Scores
from uav_prune_perception.methods.search_interfaces import Trial
from uav_prune_perception.training.task import torch_predict

from .rates import AdaptiveRates, Rate, comparable

FAILURES = 3


@dataclass(frozen=True)
class AccuracySearch:
    """`StructureSearch`.

    Attributes:
        rate: see `rates.AdaptiveRates`; 'redundancy' or 'spread'.
        allowed_drop: of the accuracy on val, as a fraction (0.005 is half a point).
        step: first change of kappa.
        least_step: where the search ends.
        most_trials: likewise.
    """

    rate: Rate = 'redundancy'
    allowed_drop: float = 0.005
    step: float = 1.0
    least_step: float = 0.1
    most_trials: int = 12

    def begin(self, context: LevelContext, scores: Scores | None) -> AccuracyRun:
        """See `StructureSearch`."""
        assert scores is not None, 'DAAR has scores'
        return AccuracyRun(self, context, scores)

    def trials(self) -> int:
        """See `StructureSearch`."""
        return self.most_trials


@dataclass
class _Accepted:
    kappa: float
    cost: float
    weights: dict[str, Tensor]


class AccuracyRun:
    """`SearchRun`: where the search is."""

    def __init__(self, options: AccuracySearch, context: LevelContext, scores: Scores) -> None:
        self.options, self.context, self.scores = options, context, scores
        self._order = Ranking(scores, context.bounds)
        self._numbers = {
            unit: comparable(values, options.rate) for unit, values in self._order.scores.items()
        }
        self._start = -min(float(values.min()) for values in self._numbers.values())
        self._end = -max(float(values.max()) for values in self._numbers.values())
        self.step, self.failures, self.trials = options.step, 0, 0
        self.accepted: list[_Accepted] = []
        self.reference: float | None = None
        self.winner: float | None = None
        self._asked = self._start
        self._candidate: nn.Module | None = None

    def propose(self) -> Keep | None:
        """See `SearchRun`.

        Raises:
            MethodError: the search is over, and no cut kept the accuracy.
        """
        options = self.options
        if self.reference is None:
            predict = torch_predict(self.context.model)
            self.reference = self.context.task.evaluate(predict, 'val', 16).value
        last = self.accepted[-1] if self.accepted else None
        over = last is not None and (last.cost <= self._floor or last.kappa <= self._end)
        if over or self.step < options.least_step or self.trials >= options.most_trials:
            if self.winner is None:
                raise MethodError(
                    f'no cut kept the accuracy within {options.allowed_drop:g} of '
                    f'{self.reference:.4f}; allow a larger prune.options.allowed_drop, or give '
                    'the trials more epochs'
                )
            return None
        kappa = last.kappa if last is not None else self._start
        base = self.context.asked.cost(self.keep(kappa))
        self._asked = kappa - self.step
        # Too small a step cuts nothing, for widths are whole; below the end nothing is left to cut
        while self.context.asked.cost(self.keep(self._asked)) >= base and self._asked > self._end:
            self._asked -= self.step
        return self.keep(self._asked)

    def keep(self, kappa: float) -> Keep:
        """What stays at ``kappa``, but never less than the level's budget."""
        counts = {
            unit: self._order.fitted(unit, len(values) - int((values < -kappa).sum()))
            for unit, values in self._numbers.items()
        }
        keep = self._order.keep(counts)
        budget = self.context.asked
        if budget.cost(keep) < budget.target:
            return AdaptiveRates(self.options.rate).allocate(self.scores, budget, self.context)
        return keep

    def inherit(self, small: nn.Module, keep: Keep) -> None:
        """The candidate starts from the last accepted weights, further cut."""
        if self.accepted:
            graph, last = self.context.graph, self.accepted[-1]
            plan = graph.plan(self.keep(last.kappa))
            above = compact(self.context.model, plan)
            above.load_state_dict(last.weights)
            wide = expanded(above, plan, copy.deepcopy(self.context.model))
            small.load_state_dict(compact(wide, graph.plan(keep)).state_dict())
        self._candidate = small

    def tell(self, trial: Trial) -> bool:
        """Accept or roll back; True for an accepted cut that is the cheapest so far."""
        self.trials += 1
        assert self.reference is not None
        assert self._candidate is not None
        if self.reference - trial.accuracy > self.options.allowed_drop:
            self.step /= 2
            self.failures += 1
            if self.failures >= FAILURES and len(self.accepted) > 1:
                self.accepted.pop()
                self.failures = 0
            return False
        self.failures = 0
        cheapest = self.winner is None or trial.cost < self._cost_of_winner
        weights = {k: v.detach().clone() for k, v in self._candidate.state_dict().items()}
        self.accepted.append(_Accepted(self._asked, trial.cost, weights))
        if cheapest:
            self.winner = self._asked
        return cheapest

    def best(self) -> Keep:
        """See `SearchRun`."""
        assert self.winner is not None, 'propose() has said so'
        return self.keep(self.winner)

    def state_dict(self) -> dict[str, Any]:
        """See `SearchRun`."""
        return {
            'step': self.step, 'failures': self.failures, 'trials': self.trials,
            'reference': self.reference, 'winner': self.winner,
            'accepted': [[a.kappa, a.cost, a.weights] for a in self.accepted],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `SearchRun`."""
        self.step, self.failures = float(state['step']), int(state['failures'])
        self.trials, self.reference = int(state['trials']), state['reference']
        self.winner = state['winner']
        self.accepted = [_Accepted(*row) for row in state['accepted']]

    @property
    def _floor(self) -> float:
        return self.context.asked.target * 1.01

    @property
    def _cost_of_winner(self) -> float:
        return self.context.asked.cost(self.best())
