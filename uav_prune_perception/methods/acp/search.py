# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage D as a run that can be killed at any moment: swarm and judge, with a state on disk.

`search.json` holds the swarm as it was when the generation began (random state included) and
every judgement since; it is replaced as a whole after each of them. The weights of the best
candidate lie beside it and are written before the line that names them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from uav_prune_perception.ladder.durable import replacing
from uav_prune_perception.methods.interfaces import MethodError, Reporter

from .judging import Candidate, Judge, Judgement
from .pool import judge_all
from .swarm import WORST, Swarm, Widths

STATE = 'search.json'
Propose = Callable[[int, Widths], Candidate]
"""From a candidate's number and widths to all that its evaluation needs."""


@dataclass
class Record:
    """One judged candidate, as it is kept."""

    number: int
    widths: Widths
    fitness: float | None
    seconds: float
    fault: str = ''


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Attributes:
        widths: the best.
        number: of the candidate that had them.
        fitness: of that one.
        weights: its trained weights, where judging trains.
        records: all judgements, in the order of their numbers.
    """

    widths: Widths
    number: int
    fitness: float
    weights: dict[str, Tensor] | None
    records: tuple[Record, ...]


@dataclass
class WidthSearch:
    """Runs a swarm to its end, or on from where it was killed.

    Args:
        swarm: as new; its state is replaced by that on disk, if there is one.
        propose: see `Propose`.
        judge: see `Judge`.
        folder: for the state; made when absent.
        key: fingerprint of all that decides the search; a state of another search is refused.
        reporter: is told after each candidate.
        workers: processes that judge.
        mend: makes widths fit a budget before they are judged.
        repeatable: equal widths have equal fitness, so they are judged once.
        title: of the phase.
    """

    swarm: Swarm
    propose: Propose
    judge: Judge
    folder: Path
    key: str
    reporter: Reporter
    workers: int = 1
    mend: Callable[[Widths], Widths] | None = None
    repeatable: bool = False
    title: str = 'searching widths'
    _records: dict[int, Record] = field(default_factory=dict, init=False)
    _began: dict[str, Any] = field(default_factory=dict, init=False)

    def run(self) -> Found:
        """Judge generation after generation.

        Raises:
            MethodError: every candidate failed, or the state on disk is damaged or foreign.
        """
        options = self.swarm.options
        self._resume()
        self.reporter.phase(self.title, options.particles * (options.cycles + 1))
        while not self.swarm.finished:
            self._one_generation()
        return self._found()

    def _one_generation(self) -> None:
        swarm = self.swarm
        self._began = swarm.state_dict()
        asked = swarm.ask()
        widths = [self.mend(row) for row in asked] if self.mend else asked
        first = swarm.generation * len(widths)
        todo: list[Candidate] = []
        same: dict[int, int] = {}
        known = {record.widths: n for n, record in self._records.items()}
        for number, row in enumerate(widths, first):
            if number in self._records:
                continue
            if self.repeatable and row in known:
                same[number] = known[row]
                continue
            known[row] = number
            todo.append(self.propose(number, row))
        for candidate, judgement in judge_all(todo, self.judge, self.workers):
            self._note(candidate.number, widths[candidate.number - first], judgement)
        for number, twin in same.items():
            fitness = self._records[twin].fitness
            value = WORST if fitness is None else fitness
            fault = self._records[twin].fault
            self._note(number, widths[number - first], Judgement(value, 0.0, fault))
        fitness_of = [self._fitness(first + index) for index in range(len(widths))]
        swarm.tell(fitness_of, widths)

    def _fitness(self, number: int) -> float:
        value = self._records[number].fitness
        return WORST if value is None else value

    def _note(self, number: int, widths: Widths, judgement: Judgement) -> None:
        failed = judgement.fitness == WORST
        fitness = None if failed else judgement.fitness
        record = Record(number, widths, fitness, round(judgement.seconds, 3), judgement.fault)
        leads = not failed and _rank(record) > _rank(self._best())
        if leads and judgement.weights is not None:
            tensors = {key: value.contiguous() for key, value in judgement.weights.items()}
            with replacing(self._weights(number)) as path:
                save_file(tensors, path)
        self._records[number] = record
        self._save()
        if leads:
            for old in self.folder.glob('best-*.safetensors'):
                if old != self._weights(number):
                    old.unlink()
        self._tell(number, judgement)

    def _tell(self, number: int, judgement: Judgement) -> None:
        options, best = self.swarm.options, self._best()
        cycle, particle = divmod(number, options.particles)
        where = f'cycle {cycle}/{options.cycles}, particle {particle}'
        if judgement.fault:
            self.reporter.warn(f'{self.title}: {where} failed: {judgement.fault}')
        found = 'failed' if judgement.fault else f'{judgement.fitness:.4f}'
        leader = 'none' if best is None else f'{best.fitness:.4f}'
        self.reporter.step(len(self._records), f'{where}: {found}, best {leader}')

    def _best(self) -> Record | None:
        good = [record for record in self._records.values() if record.fitness is not None]
        return max(good, key=_rank, default=None)

    def _weights(self, number: int) -> Path:
        return self.folder / f'best-{number}.safetensors'

    def _save(self) -> None:
        document = {
            'key': self.key,
            'swarm': self._began,
            'records': [vars(record) for _, record in sorted(self._records.items())],
        }
        with replacing(self.folder / STATE) as path:
            path.write_text(json.dumps(document) + '\n', encoding='utf-8')

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = self.folder / STATE
        if not state.is_file():
            return
        try:
            document = json.loads(state.read_text(encoding='utf-8'))
            if document['key'] != self.key:
                raise MethodError(f'{state}: is of another search; delete it to start anew')
            self._records = {
                row['number']: Record(**{**row, 'widths': tuple(row['widths'])})
                for row in document['records']
            }
            self.swarm.load_state_dict(document['swarm'])
            self.reporter.note(f'{self.title}: {len(self._records)} judged by an earlier run')
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, MethodError):
                raise
            raise MethodError(
                f'{state}: damaged ({error}); delete it to start the search anew'
            ) from None

    def _found(self) -> Found:
        best = self._best()
        if best is None or best.fitness is None:
            faults: Sequence[str] = [r.fault for r in self._records.values() if r.fault]
            raise MethodError(f'every candidate of the search failed, the last: {faults[-1]}')
        path = self._weights(best.number)
        weights = load_file(path) if path.is_file() else None
        records = tuple(record for _, record in sorted(self._records.items()))
        return Found(best.widths, best.number, best.fitness, weights, records)


def _rank(record: Record | None) -> tuple[float, int]:
    """Numbers, not arrival, break ties, so that workers cannot change the result."""
    if record is None or record.fitness is None:
        return WORST, 0
    return record.fitness, -record.number
