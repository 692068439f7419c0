# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts how often the test split is read, and stops who reads it more often than agreed."""

from __future__ import annotations

from .task import TrainingError


class TestReads:
    """The count of a task.

    Attributes:
        count: evaluations on test so far.
        limit: how many there may be; one for each final model. None: no limit is agreed.
    """

    __test__ = False  # for pytest, which would take it for a test

    def __init__(self, limit: int | None = None) -> None:
        self.count = 0
        self.limit = limit

    def note(self, split: str) -> None:
        """A split is about to be evaluated.

        Raises:
            TrainingError: it is ``test``, and all readings that were agreed are used up.
        """
        if split != 'test':
            return
        if self.limit is not None and self.count >= self.limit:
            raise TrainingError(
                f'the test split has been read {self.count} times, once for each final model; '
                'choose models by val'
            )
        self.count += 1

    @staticmethod
    def refuse(split: str, purpose: str) -> None:
        """For what must never look at test.

        Raises:
            TrainingError: ``split`` is ``test``.
        """
        if split == 'test':
            raise TrainingError(f'{purpose} must not look at the test split; use train or val')
