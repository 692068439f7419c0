# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Candidates judged one after the other, or by several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import torch

from .interfaces import MethodError
from .judging import Candidate, Judge, Judgement

TRIES = 3

_judge: Judge | None = None


def judge_all(
    candidates: Sequence[Candidate], judge: Judge, workers: int = 1
) -> Iterator[tuple[Candidate, Judgement]]:
    """Judge every candidate; results come in the order in which they are ready.

    Args:
        candidates: to be judged, each apart from the others.
        judge: goes to each worker once, as a pickle.
        workers: processes; 1 judges here. Each has one torch thread.

    Raises:
        MethodError: workers died (out of memory, killed) again and again.
    """
    if workers <= 1 or len(candidates) <= 1:
        for candidate in candidates:
            yield candidate, judge(candidate)
        return
    left = {candidate.index: candidate for candidate in candidates}
    for _ in range(TRIES):
        try:
            for candidate, judgement in _by_workers(list(left.values()), judge, workers):
                del left[candidate.index]
                yield candidate, judgement
        except BrokenProcessPool:
            continue  # what is left goes to new workers
        return
    raise MethodError(
        f'worker processes died {TRIES} times while judging candidates (out of memory?); '
        'lower search.workers. What was judged is kept.'
    )


def _by_workers(
    candidates: Sequence[Candidate], judge: Judge, workers: int
) -> Iterator[tuple[Candidate, Judgement]]:
    # A forked copy of torch's threads hangs; a spawned process starts clean
    context = multiprocessing.get_context('spawn')
    pool = ProcessPoolExecutor(
        min(workers, len(candidates)), context, initializer=_begin, initargs=(judge,)
    )
    try:
        futures = {pool.submit(_work, candidate): candidate for candidate in candidates}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(judge: Judge) -> None:
    global _judge  # noqa: PLW0603 (one judge for the life of a worker)
    torch.set_num_threads(1)
    _judge = judge


def _work(candidate: Candidate) -> Judgement:
    assert _judge is not None
    return _judge(candidate)
