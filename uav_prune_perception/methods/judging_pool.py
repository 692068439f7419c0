# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Candidates judged one after the other, by several processes, or by the ranks of a job."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

import torch
from torch import Tensor

from uav_prune_perception.training.ranks import ALONE, Ranks

from .interfaces import MethodError
from .judging import WORST, Candidate, Judge, Judgement

TRIES = 3

_judge: Judge | None = None


class JudgePool:
    """Judges candidates here, or in processes that live as long as the pool.

    Args:
        judge: goes to each worker once, as a pickle.
        workers: processes; 1 judges here. Each has one torch thread.
        ranks: several judge a part each, in place of workers, and all hear of every judgement;
            a candidate's weights reach the first process where it may be the best so far.
    """

    def __init__(self, judge: Judge, workers: int = 1, ranks: Ranks = ALONE) -> None:
        self._judge, self._workers, self._ranks = judge, workers, ranks
        self._best = WORST
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> JudgePool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop()

    def judged(self, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Judgement]]:
        """Judge each apart from the others; results come in the order in which they are ready.

        What a worker had in hand when it died goes to new workers.

        Raises:
            MethodError: workers died (out of memory, killed) again and again.
        """
        if self._ranks.size > 1:
            yield from self._by_ranks(candidates)
            return
        if self._workers <= 1:
            for candidate in candidates:
                yield candidate, self._judge(candidate)
            return
        left = {candidate.index: candidate for candidate in candidates}
        for _ in range(TRIES):
            try:
                for candidate, judgement in self._by_workers(list(left.values())):
                    del left[candidate.index]
                    yield candidate, judgement
            except BrokenProcessPool:
                self._drop()
                continue
            return
        raise MethodError(
            f'worker processes died {TRIES} times while judging candidates (out of memory?); '
            'lower search.workers. What was judged is kept.'
        )

    def _by_ranks(
        self, candidates: Sequence[Candidate]
    ) -> Iterator[tuple[Candidate, Judgement]]:
        ranks = self._ranks
        for start in range(0, len(candidates), ranks.size):
            turn = candidates[start:start + ranks.size]
            own = self._judge(turn[ranks.rank]) if ranks.rank < len(turn) else None
            figures = dataclasses.replace(own, weights=None) if own else None
            found = [judgement for judgement in ranks.gather(figures) if judgement is not None]
            best = max(judgement.fitness for judgement in found)
            leads = next(i for i, one in enumerate(found) if one.fitness == best)
            weights: dict[str, Tensor] | None = None
            if best > self._best:
                self._best = best
                weights = ranks.gather(own.weights if own and ranks.rank == leads else None)[leads]
            # The leader first: nobody asks for the weights of those that it has beaten
            yield turn[leads], dataclasses.replace(found[leads], weights=weights)
            yield from ((turn[i], found[i]) for i in range(len(turn)) if i != leads)

    def _by_workers(
        self, candidates: Sequence[Candidate]
    ) -> Iterator[tuple[Candidate, Judgement]]:
        if self._executor is None:
            # A forked copy of torch's threads hangs; a spawned process starts clean
            self._executor = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context('spawn'), initializer=_begin,
                initargs=(self._judge,),
            )
        futures = {self._executor.submit(_work, candidate): candidate for candidate in candidates}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _drop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


def _begin(judge: Judge) -> None:
    global _judge  # noqa: PLW0603 (one judge for the life of a worker)
    torch.set_num_threads(1)
    _judge = judge


def _work(candidate: Candidate) -> Judgement:
    assert _judge is not None
    return _judge(candidate)
