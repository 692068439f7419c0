# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A search that is killed, fails in part, or is shared between processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.interfaces import Budget, LevelContext, MethodError
from uav_prune_perception.methods.judging import WORST, Candidate, Judgement
from uav_prune_perception.methods.population_phase import STATE, Generations
from uav_prune_perception.methods.search_interfaces import Proposal, Verdict
from uav_prune_perception.training.task import LearningTask

ROUNDS, SIZE = 4, 4


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


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 2, 1)).eval()


class Climb:
    """Walks at random from the best width so far; random state is part of its state."""

    def __init__(self) -> None:
        self.round, self.centre, self.best = 0, 6, WORST
        self.chance = torch.Generator().manual_seed(3)

    def propose(self) -> Sequence[Proposal]:
        if self.round == ROUNDS:
            return []
        steps = torch.randint(-3, 4, (SIZE,), generator=self.chance).tolist()
        widths = [min(12, max(1, self.centre + step)) for step in steps]
        return [Proposal({'0': torch.arange(12) < width}) for width in widths]

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        first = self.round * SIZE
        assert [verdict.index for verdict in verdicts] == list(range(first, first + SIZE))
        self.round += 1
        for verdict in verdicts:
            if verdict.fitness > self.best:
                self.best, self.centre = verdict.fitness, int(verdict.keep['0'].sum())

    def state_dict(self) -> dict[str, Any]:
        best = None if self.best == WORST else self.best
        return {'round': self.round, 'centre': self.centre, 'best': best,
                'chance': self.chance.get_state().tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.round, self.centre = state['round'], state['centre']
        self.best = WORST if state['best'] is None else state['best']
        self.chance.set_state(torch.tensor(state['chance'], dtype=torch.uint8))


class FakeJudge:
    """Likes a width of 3; may fail, or kill its process once."""

    def __init__(
        self, fails: int | None = None, dies: int | None = None, mark: Path | None = None
    ) -> None:
        self.fails, self.dies, self.mark = fails, dies, mark

    def __call__(self, candidate: Candidate) -> Judgement:
        if candidate.index == self.dies and self.mark is not None and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if candidate.index == self.fails:
            return Judgement(WORST, 0.0, 'loss became nan')
        width = candidate.plan.kept['0'][0]
        weights = {'width': torch.tensor([width]), 'seed': torch.tensor([candidate.seed])}
        return Judgement(-abs(float(width) - 3.0), 0.0, '', weights)


def rounds(folder: Path, judge: Any = None, **changes: Any) -> Generations:
    model = network()
    graph = ChannelGraph.trace(model, torch.randn(1, 3, 8, 8))
    cost = graph.cost()
    budget = Budget('macs', cost.macs / 2, cost.macs, lambda keep: graph.cost(keep).macs)
    context = LevelContext(
        model, graph, cast(LearningTask, None), {}, budget, 'half', 0,
        changes.pop('reporter', Lines()), model, cost, folder,
    )
    return Generations(
        Climb(), context, judge or FakeJudge(), first_seed=70, expected=ROUNDS * SIZE, **changes
    )


def outcome(search: Generations) -> list[Any]:
    index, keep = search.to_end()
    state = json.loads((search.folder / STATE).read_text())
    candidates = [{k: v for k, v in c.items() if k != 'seconds'} for c in state['candidates']]
    return [index, keep['0'].tolist(), sorted(candidates, key=lambda c: c['index']), state['best']]


def test_every_candidate_is_judged_shown_and_kept(tmp_path: Path) -> None:
    lines = Lines()
    search = rounds(tmp_path, reporter=lines)
    index, keep, candidates, best = outcome(search)
    assert [c['index'] for c in candidates] == list(range(16))
    assert best['fitness'] == max(c['fitness'] for c in candidates) == 0.0
    assert sum(keep) == candidates[index]['widths']['0'] == 3
    assert [path.name for path in tmp_path.glob('best-*')] == [f'best-{index}.safetensors']
    assert lines.phases == [('half: searching widths', 16)]
    assert [done for done, _ in lines.steps] == list(range(17))
    assert 'candidate 16 of about 16' in lines.steps[-1][1]


@pytest.mark.parametrize('stop', [1, 4, 5, 15])
def test_an_interrupted_search_ends_like_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    whole = outcome(rounds(tmp_path / 'whole'))
    judged: list[int] = []

    class Stops(FakeJudge):
        def __call__(self, candidate: Candidate) -> Judgement:
            if len(judged) == stop:
                raise KeyboardInterrupt
            judged.append(candidate.index)
            return super().__call__(candidate)

    with pytest.raises(KeyboardInterrupt):
        rounds(tmp_path / 'cut', Stops()).to_end()

    class Counts(FakeJudge):
        def __call__(self, candidate: Candidate) -> Judgement:
            judged.append(candidate.index)
            return super().__call__(candidate)

    assert outcome(rounds(tmp_path / 'cut', Counts())) == whole
    assert judged == list(range(16)), 'nothing is judged twice'


KILLED = """
import os, signal, sys
from pathlib import Path
import test_population_phase as t
class Dies(t.FakeJudge):
    def __call__(self, candidate):
        if candidate.index == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(candidate)
t.rounds(Path(sys.argv[1]), Dies()).to_end()
"""


@pytest.mark.slow
def test_a_killed_search_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, '-c', KILLED, str(tmp_path / 'killed')], check=False,
        env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert outcome(rounds(tmp_path / 'killed')) == outcome(rounds(tmp_path / 'whole'))


def test_a_candidate_that_fails_is_worst_and_logged(tmp_path: Path) -> None:
    lines = Lines()
    _, _, candidates, _ = outcome(rounds(tmp_path, FakeJudge(fails=2), reporter=lines))
    assert candidates[2]['fitness'] is None
    assert candidates[2]['fault'] == 'loss became nan'
    assert lines.warnings == ['half: candidate 3 failed: loss became nan']


def test_all_failing_is_an_error(tmp_path: Path) -> None:
    def fails(candidate: Candidate) -> Judgement:
        return Judgement(WORST, 0.0, 'loss became nan')

    with pytest.raises(MethodError, match=r'every candidate .* failed, the last: loss became'):
        rounds(tmp_path, fails).to_end()


@pytest.mark.slow
def test_two_processes_find_what_one_finds_though_one_of_them_dies(tmp_path: Path) -> None:
    one = outcome(rounds(tmp_path / 'one'))
    judge = FakeJudge(dies=6, mark=tmp_path / 'died')
    two = outcome(rounds(tmp_path / 'two', judge, workers=2))
    assert (tmp_path / 'died').exists()
    assert two == one


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    rounds(tmp_path).to_end()
    (tmp_path / STATE).write_text('{"run": ')
    with pytest.raises(MethodError, match=r'search\.json: damaged .* delete it'):
        rounds(tmp_path).to_end()
