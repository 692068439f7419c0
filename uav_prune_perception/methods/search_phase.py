# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A search over structures: compact each proposal, train it shortly, tell its accuracy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uav_prune_perception.channels import compact
from uav_prune_perception.training.checkpoint import load_checkpoint, save_checkpoint
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm

from .expansion import expanded
from .interfaces import Keep, LevelContext, MethodError
from .search_interfaces import SearchRun, StructureSearch, Trial
from .stages import Stages, Training

STATE, BEST = 'search.state', 'search.best'
# Levels have the orders 1..899, sparse training 900; the trials of level n start at 1000 n.
TRIAL_ORDERS = 1000


def searched(
    stages: Stages,
    search: StructureSearch,
    run: SearchRun,
    context: LevelContext,
    stage: tuple[str, str],
) -> tuple[nn.Module, Keep]:
    """Run a search to its end, from where an interrupted one was.

    Returns:
        The best trial's weights in the shape of ``context.model``, and what it keeps.

    Raises:
        MethodError: the search ends without a proposal.
    """
    assert context.folder is not None
    done = _resumed(run, context.folder, stage)
    trials = search.trials()
    stages.reporter.phase(f'{context.level}: searching', trials)
    while (keep := run.propose()) is not None:
        small, trial = _tried(stages, run, context, keep, done)
        done += 1
        if run.tell(trial):
            stages.reporter.note(
                f'{context.level}: trial {done}: {trial.accuracy:.4f} on val with '
                f'{context.asked.text(trial.cost)}'
            )
            _save(stages, context.folder / BEST, stage, {'model': small.state_dict()})
        _save(stages, context.folder / STATE, stage, {'done': done, 'run': run.state_dict()})
        stages.reporter.phase(f'{context.level}: searching', trials)
        stages.reporter.step(min(done, trials), f'trial {done} of about {trials}')
    stages.run.ranks.wait()
    best = load_checkpoint(context.folder / BEST, {'stage': '-'.join(stage)})
    if best is None:
        raise MethodError('the search ended without a best structure')
    return _dense_shaped(stages, context, run.best(), best['model']), run.best()


def _save(stages: Stages, path: Path, stage: tuple[str, str], state: dict[str, Any]) -> None:
    if stages.run.ranks.first:
        save_checkpoint(path, {'fingerprint': {'stage': '-'.join(stage)}, **state})


def _resumed(run: SearchRun, folder: Path, stage: tuple[str, str]) -> int:
    state: dict[str, Any] | None = load_checkpoint(folder / STATE, {'stage': '-'.join(stage)})
    if state is None:
        return 0
    run.load_state_dict(state['run'])
    return int(state['done'])


def _tried(
    stages: Stages, run: SearchRun, context: LevelContext, keep: Keep, index: int
) -> tuple[nn.Module, Trial]:
    recipe = stages.recipe
    assert recipe.search is not None, 'checked with the method'
    plan = context.graph.plan(keep)
    small = compact(context.model, plan)
    with torch.random.fork_rng():
        torch.manual_seed(context.seed + index)
        run.inherit(small, keep)
    batches = stages.task.calibration_batches(recipe.prune.recalibrate_batches)
    recalibrate_batchnorm(small, batches)
    order = (context.seed - stages.seed(0)) * TRIAL_ORDERS + index
    title = f'{context.level}: trial {index + 1}'
    # Trials are short: one that is interrupted starts anew.
    stages.train(small, Training(title, ('', ''), recipe.search, order), resumable=False)
    accuracy = stages.accuracy(small, recipe.search.device)
    return small, Trial(index, keep, accuracy.value, context.asked.cost(keep))


def _dense_shaped(
    stages: Stages, context: LevelContext, keep: Keep, weights: dict[str, torch.Tensor]
) -> nn.Module:
    plan = context.graph.plan(keep)
    small = compact(context.model, plan)
    small.load_state_dict(weights)
    return expanded(small, plan, copy.deepcopy(context.model)).eval()
