# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A search that is killed, fails in part, or is shared between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from uav_prune_perception.channels import PruningPlan
from uav_prune_perception.methods.acp.judging import Candidate, Judgement
from uav_prune_perception.methods.acp.search import STATE, Found, WidthSearch
from uav_prune_perception.methods.acp.swarm import WORST, Swarm, SwarmOptions, Widths
from uav_prune_perception.methods.interfaces import MethodError

LIMITS = (8, 16, 16, 24)


class Lines:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[tuple[int, str]] = []
        self.notes: list[str] = []
        self.phases: list[tuple[str, int]] = []

    def phase(self, title: str, steps: int) -> None:
        self.phases.append((title, steps))

    def step(self, done: int, text: str = '') -> None:
        self.steps.append((done, text))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def propose(number: int, widths: Widths) -> Candidate:
    weights = {'widths': torch.tensor(widths, dtype=torch.float32)}
    return Candidate(number, PruningPlan(()), weights, seed=number)


class FakeJudge:
    """Likes widths near (4, 8, 8, 12); may fail, or kill its process once."""

    def __init__(
        self, fails: int | None = None, dies: int | None = None, mark: Path | None = None
    ) -> None:
        self.fails, self.dies, self.mark = fails, dies, mark

    def __call__(self, candidate: Candidate) -> Judgement:
        if candidate.number == self.dies and self.mark is not None and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if candidate.number == self.fails:
            return Judgement(WORST, 0.0, 'loss became nan')
        away = (candidate.weights['widths'] - torch.tensor([4.0, 8.0, 8.0, 12.0])).abs().sum()
        return Judgement(-float(away), 0.0, '', {'w': candidate.weights['widths']})


def search(folder: Path, judge: Any = None, **changes: Any) -> WidthSearch:
    swarm = Swarm((2, 3, 14, 20), LIMITS, SwarmOptions(particles=4, cycles=3, moved=3), seed=5)
    settings = {'key': 'k', 'reporter': Lines(), **changes}
    return WidthSearch(swarm, propose, judge or FakeJudge(), folder, **settings)


def facts(found: Found) -> list[Any]:
    return [found.widths, found.number, found.fitness,
            [(r.number, r.widths, r.fitness, r.fault) for r in found.records]]


def test_every_particle_of_every_generation_is_judged_and_shown(tmp_path: Path) -> None:
    lines = Lines()
    found = search(tmp_path, reporter=lines).run()
    assert len(found.records) == 4 * (1 + 3)
    assert found.fitness == max(record.fitness for record in found.records)
    assert lines.phases == [('searching widths', 16)]
    assert [done for done, _ in lines.steps] == list(range(1, 17))
    assert 'cycle 3/3, particle 3' in lines.steps[-1][1]
    assert found.weights is not None
    assert tuple(int(v) for v in found.weights['w']) == found.widths


@pytest.mark.parametrize('stop', [1, 4, 5, 11, 15])
def test_an_interrupted_search_ends_like_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    whole = facts(search(tmp_path / 'whole').run())

    class Stops(FakeJudge):
        calls = 0

        def __call__(self, candidate: Candidate) -> Judgement:
            self.calls += 1
            if self.calls > stop:
                raise KeyboardInterrupt
            return super().__call__(candidate)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / 'cut', Stops()).run()
    calls: list[int] = []

    class Counts(FakeJudge):
        def __call__(self, candidate: Candidate) -> Judgement:
            calls.append(candidate.number)
            return super().__call__(candidate)

    assert facts(search(tmp_path / 'cut', Counts()).run()) == whole
    assert calls == list(range(stop, 16)), 'what was judged is not judged again'


KILLED = """
import os, signal, sys
from pathlib import Path
import test_search as t
class Dies(t.FakeJudge):
    def __call__(self, candidate):
        if candidate.number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(candidate)
t.search(Path(sys.argv[1]), Dies()).run()
"""


def test_a_killed_search_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *sys.path])
    done = subprocess.run(
        [sys.executable, '-c', KILLED, str(tmp_path / 'killed')], check=False,
        env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert facts(search(tmp_path / 'killed').run()) == facts(search(tmp_path / 'whole').run())


def test_a_candidate_that_fails_is_worst_and_logged(tmp_path: Path) -> None:
    lines = Lines()
    found = search(tmp_path, FakeJudge(fails=2), reporter=lines).run()
    assert found.records[2].fitness is None
    assert found.records[2].fault == 'loss became nan'
    assert any('particle 2 failed: loss became nan' in line for line in lines.warnings)
    assert found.number != 2


def test_all_failing_is_an_error(tmp_path: Path) -> None:
    def fails(candidate: Candidate) -> Judgement:
        return Judgement(WORST, 0.0, 'loss became nan')

    with pytest.raises(MethodError, match='every candidate .* failed, the last: loss became nan'):
        search(tmp_path, fails).run()


def test_two_processes_find_what_one_finds_though_one_of_them_dies(tmp_path: Path) -> None:
    one = facts(search(tmp_path / 'one').run())
    judge = FakeJudge(dies=6, mark=tmp_path / 'died')
    two = facts(search(tmp_path / 'two', judge, workers=2).run())
    assert (tmp_path / 'died').exists()
    assert two == one


def test_equal_widths_are_judged_once_where_that_is_enough(tmp_path: Path) -> None:
    judged: list[Widths] = []

    class Notes(FakeJudge):
        def __call__(self, candidate: Candidate) -> Judgement:
            judged.append(tuple(int(v) for v in candidate.weights['widths']))
            return super().__call__(candidate)

    def few(widths: Widths) -> Widths:
        return tuple(max(4, 4 * round(width / 4)) for width in widths)

    found = search(tmp_path, Notes(), mend=few, repeatable=True).run()
    assert len(set(judged)) == len(judged) < len(found.records)
    assert all(width % 4 == 0 for record in found.records for width in record.widths)


def test_a_damaged_or_foreign_state_is_named(tmp_path: Path) -> None:
    search(tmp_path).run()
    with pytest.raises(MethodError, match=r'search\.json: is of another search; delete it'):
        search(tmp_path, key='other').run()
    (tmp_path / STATE).write_text('{"key": "k", ')
    with pytest.raises(MethodError, match=r'search\.json: damaged .* delete it'):
        search(tmp_path).run()
