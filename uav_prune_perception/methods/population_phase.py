# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A search by generations that can be killed at any moment.

The search proposes some candidates, they are judged apart from each other, it is told, and
proposes again. `search.json` holds its state as it was when the generation began (random state
included) and every judgement since; it is replaced as a whole after each of them. The weights of
the best candidate lie beside it, written before the line that names them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph, compact
from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.training.fit_options import FitOptions
from uav_prune_perception.training.ranks import ALONE, Ranks

from .expansion import expanded
from .interfaces import Keep, LevelContext, MethodError, Scores
from .judging import WORST, Candidate, Judge, Judgement, NetworkJudge
from .judging_pool import JudgePool
from .search_interfaces import PopulationRun, PopulationSearch, Proposal, Verdict
from .stages import Stages

STATE = 'search.json'
# Levels have the orders 1..899, sparse training 900; the trials of level n start at 1000 n.
TRIAL_ORDERS = 1000


def fittest(
    stages: Stages, search: PopulationSearch, scores: Scores | None, context: LevelContext
) -> tuple[nn.Module, Keep]:
    """Run a level's search to its end, from where an interrupted one was.

    Returns:
        The best candidate's weights in the shape of ``context.model``, and what it keeps.

    Raises:
        MethodError: nothing was proposed, all candidates failed, or the state on disk is damaged.
    """
    recipe = stages.recipe
    assert recipe.search is not None, 'checked with the method'
    settings = recipe.search.options()
    # A candidate is one process's work, on that process's own GPU
    settings['device'] = stages.run.ranks.device(settings['device'])
    options = FitOptions(**settings)
    judge = NetworkJudge(
        context.model, stages.task, options, recipe.prune.recalibrate_batches,
        search.fitness(context),
    )
    generations = Generations(
        search.begin(context, scores), context, judge, workers=recipe.search.workers,
        first_seed=stages.seed((context.seed - stages.seed(0)) * TRIAL_ORDERS),
        expected=search.size(), ranks=stages.run.ranks,
    )
    index, keep = generations.to_end()
    stages.run.ranks.wait()  # until the best one's weights are written
    plan = context.graph.plan(keep)
    small = compact(context.model, plan)
    small.load_state_dict(load_file(generations.weights_of(index)))
    return expanded(small, plan, copy.deepcopy(context.model)).eval(), keep


@dataclass(frozen=True)
class _Best:
    index: int
    fitness: float
    keep: Keep


class Generations:
    """The generations of one search, and its state on disk.

    Args:
        run: proposes and is told.
        context: of the level; its folder holds the state.
        judge: see `Judge`.
        workers: processes that judge.
        first_seed: of the first candidate's training.
        expected: number of candidates, for the progress bar.
        ranks: processes that run the same search and judge a part of each round. The first
            keeps the state.
    """

    def __init__(
        self,
        run: PopulationRun,
        context: LevelContext,
        judge: Judge,
        *,
        workers: int = 1,
        first_seed: int = 0,
        expected: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.run, self.context, self.judge = run, context, judge
        self.workers, self.first_seed, self.expected = workers, first_seed, expected
        self.ranks = ranks
        assert context.folder is not None
        self.folder: Path = context.folder
        self._records: list[dict[str, Any]] = []  # of all candidates that were judged
        self._began: dict[str, Any] = {}
        self._first = 0  # index of the round's first candidate
        self._best: _Best | None = None

    def to_end(self) -> tuple[int, Keep]:
        """Judge round after round; the best candidate's index and what it keeps."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self.context.reporter.phase(f'{self.context.level}: searching widths', self.expected)
        self.context.reporter.step(len(self._records))
        with JudgePool(self.judge, self.workers, self.ranks) as pool:
            while True:
                self._began = self.run.state_dict()
                proposals = self.run.propose()
                if not proposals:
                    break
                self.run.tell(self._round(proposals, pool))
                self._first += len(proposals)
        if self._best is None:
            faults = [record['fault'] for record in self._records]
            raise MethodError(
                f'every candidate of the search failed, the last: {faults[-1]}' if faults
                else 'the search proposed nothing'
            )
        return self._best.index, self._best.keep

    def weights_of(self, index: int) -> Path:
        """Where the weights of the best candidate lie."""
        return self.folder / f'best-{index}.safetensors'

    def _round(self, proposals: Sequence[Proposal], pool: JudgePool) -> list[Verdict]:
        indexed = dict(enumerate(proposals, self._first))
        judged = {record['index']: record for record in self._records}
        todo = [self._candidate(i, p) for i, p in indexed.items() if i not in judged]
        for candidate, judgement in pool.judged(todo):
            self._note(candidate.index, indexed[candidate.index], judgement)
        judged = {record['index']: record for record in self._records}
        return [self._verdict(judged[index], p.keep) for index, p in indexed.items()]

    def _candidate(self, index: int, proposal: Proposal) -> Candidate:
        plan = self.context.graph.plan(proposal.keep)
        return Candidate(index, plan, proposal.weights, self.first_seed + index)

    def _verdict(self, record: Mapping[str, Any], keep: Keep) -> Verdict:
        fitness = WORST if record['fitness'] is None else float(record['fitness'])
        cost = self.context.asked.cost(keep)
        return Verdict(int(record['index']), keep, fitness, cost, str(record['fault']))

    def _note(self, index: int, proposal: Proposal, judgement: Judgement) -> None:
        failed = judgement.fitness == WORST
        # Numbers, not arrival, break ties, so that workers cannot change the result
        leads = not failed and (
            self._best is None
            or (judgement.fitness, -index) > (self._best.fitness, -self._best.index)
        )
        if leads:
            self._best = _Best(index, judgement.fitness, proposal.keep)
            if self.ranks.first:
                assert judgement.weights is not None
                self._save_weights(index, judgement.weights)
        self._records.append({
            'index': index, 'fitness': None if failed else judgement.fitness,
            'seconds': round(judgement.seconds, 3), 'fault': judgement.fault,
            'widths': widths_of(proposal.keep),
        })
        if self.ranks.first:
            self._save()
        if leads and self.ranks.first:
            for old in self.folder.glob('best-*.safetensors'):
                if old != self.weights_of(index):
                    old.unlink()
        self._tell(index, judgement)

    def _tell(self, index: int, judgement: Judgement) -> None:
        reporter, level = self.context.reporter, self.context.level
        found = f'{judgement.fitness:.4f}'
        if judgement.fault:
            found = 'failed'
            reporter.warn(f'{level}: candidate {index + 1} failed: {judgement.fault}')
        best = f'{self._best.fitness:.4f}' if self._best else 'none'
        done = len(self._records)
        reporter.step(
            min(done, self.expected),
            f'candidate {done} of about {self.expected}: {found}, best {best}',
        )

    # -- the state on disk ------------------------------------------------------------------

    def _save_weights(self, index: int, weights: Mapping[str, Tensor]) -> None:
        # safetensors wants no two names for one piece of memory
        tensors = {name: value.clone().contiguous() for name, value in weights.items()}
        with replacing(self.weights_of(index)) as path:
            save_file(tensors, path)

    def _save(self) -> None:
        best = self._best and {
            'index': self._best.index, 'fitness': self._best.fitness,
            'keep': _indices(self._best.keep),
        }
        document = {
            'run': self._began, 'first': self._first, 'best': best, 'candidates': self._records,
        }
        with replacing(self.folder / STATE) as path:
            path.write_text(json.dumps(document) + '\n', encoding='utf-8')

    def _resume(self) -> None:
        state = self.folder / STATE
        if not state.is_file():
            return
        try:
            document = json.loads(state.read_text(encoding='utf-8'))
            self._records, self._first = list(document['candidates']), int(document['first'])
            if document['best'] is not None:
                best = document['best']
                keep = _masks(best['keep'], self.context.graph)
                self._best = _Best(int(best['index']), float(best['fitness']), keep)
            self.run.load_state_dict(document['run'])
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise MethodError(
                f'{state}: damaged ({error}); delete it to start the search anew'
            ) from None
        self.context.reporter.note(
            f'{self.context.level}: {len(self._records)} candidates were judged by an earlier run'
        )


def widths_of(keep: Mapping[str, Any]) -> dict[str, Any]:
    """How many channels of each group stay, for people who read the state."""
    return {
        name: widths_of(mask) if isinstance(mask, Mapping) else int(mask.sum())
        for name, mask in keep.items()
    }


def _indices(keep: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _indices(mask) if isinstance(mask, Mapping)
        else mask.nonzero().flatten().tolist()
        for name, mask in keep.items()
    }


def _masks(indices: Mapping[str, Any], graph: ChannelGraph) -> Keep:
    widths = {group.name: group.width for group in graph.groups}

    def mask(width: int, kept: list[int]) -> Tensor:
        result = torch.zeros(width, dtype=torch.bool)
        result[kept] = True
        return result

    return {
        name: {path: mask(widths[name], own) for path, own in kept.items()}
        if isinstance(kept, Mapping) else mask(widths[name], kept)
        for name, kept in indices.items()
    }
