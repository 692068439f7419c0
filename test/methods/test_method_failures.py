# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the middle of a job: said in one line, nothing half done, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_slots import Sparse
from tiny_job import Quiet, build, classifier
from torch import Tensor, nn

from uav_prune_perception.methods.adasp import AdaSPOptions, adasp
from uav_prune_perception.methods.interfaces import LevelContext, Method, MethodError, Scores
from uav_prune_perception.methods.l1 import L1Magnitude
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.fit import FitHook
from uav_prune_perception.training.task import TrainingError

HALF = 'prune.levels=[{kept_macs: 0.5}]'


class Explodes(FitHook):
    def penalty(self, model: nn.Module) -> Tensor:
        return next(model.parameters()).sum() * float('nan')


class ExplodingTraining:
    def begin(self, context: LevelContext) -> FitHook:
        return Explodes()


def test_a_loss_that_is_not_finite_names_epoch_and_step(tmp_path: Path) -> None:
    job = classifier(tmp_path, HALF, 'sparse={epochs: 1, batch_size: 16}', 'train.epochs=1')
    method = Method(score=L1Magnitude(), sparse=ExplodingTraining())
    with pytest.raises(TrainingError, match=r'loss became nan in epoch 1, step 1; lower lr'):
        build(job, tmp_path, method)
    stages = {path.name.rpartition('-')[0] for path in next(tmp_path.glob('run-*')).iterdir()}
    assert stages == {'', 'dense'}, 'the dense network is kept, nothing else is there'


def test_masks_in_training_stop_at_such_a_loss_too(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, HALF, 'prune.method=adasp', 'finetune=null', 'train.optimizer=sgd',
        'train.lr=1e30', 'train.clip_norm=0', 'prune.options.regrow_clip=0', 'train.ema=false',
    )
    with pytest.raises(TrainingError, match=r'loss became .* lower lr'):
        build(job, tmp_path)


def test_layers_at_their_minimum_stay_there_and_the_others_give_way(tmp_path: Path) -> None:
    job = classifier(
        tmp_path, 'prune.min_channels=12', 'train.epochs=1', 'finetune.epochs=0',
        'prune.levels=[{kept_macs: 0.75}, {kept_macs: 0.6}, {kept_macs: 0.55}]',
    )
    levels = build(job, tmp_path)
    assert [level.kept_macs for level in levels] == pytest.approx([0.75, 0.6, 0.55], rel=0.01)
    kept = [level.plan.kept for level in levels]
    assert all(count >= 12 for one in kept for count, _ in one.values())
    assert any(count == 12 for count, _ in kept[1].values()), 'a layer is at its minimum'
    assert any(kept[2][name][0] < kept[1][name][0] for name in kept[2])


@pytest.mark.parametrize('method', ['l1', 'adasp'])
def test_a_budget_out_of_reach_is_refused_before_training(tmp_path: Path, method: str) -> None:
    reporter = Quiet()
    job = classifier(tmp_path, 'prune.min_channels=14', f'prune.method={method}')
    with pytest.raises(MethodError, match=r'tiny\.yaml:.*level 30 asks for 30\.0% of the MACs, '
                       r'but the narrowest network allowed keeps \d+\.\d%; lower prune\.min'):
        build(job, tmp_path, reporter=reporter)
    assert not any('training' in line for line in reporter.lines)


def test_a_score_of_the_wrong_form_is_blamed_on_the_method(tmp_path: Path) -> None:
    class Short:
        def score(self, context: LevelContext) -> Scores:
            return {group.name: torch.ones(3) for group in context.graph.groups}

    class Nowhere:
        def score(self, context: LevelContext) -> Scores:
            return {
                group.name: torch.full((group.width,), float('nan'))
                for group in context.graph.groups
            }

    job = classifier(tmp_path, HALF, 'train.epochs=1')
    with pytest.raises(MethodError, match=r'method l1: group conv1 needs 16 scores, got \(3,\)'):
        build(job, tmp_path, Method(score=Short()))
    with pytest.raises(MethodError, match=r'a score of group conv1 is not a number'):
        build(job, tmp_path, Method(score=Nowhere()))


def test_an_interruption_after_the_cut_does_not_cut_again(tmp_path: Path) -> None:
    class Counted(L1Magnitude):
        times = 0

        def score(self, context: LevelContext) -> Scores:
            Counted.times += 1
            return super().score(context)

    class Stops(Quiet):
        def phase(self, title: str, steps: int) -> None:
            if 'fine-tuning' in title:
                raise KeyboardInterrupt

    job = classifier(tmp_path, HALF)
    whole = build(job, tmp_path / 'whole', Method(score=Counted()))
    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path / 'broken', Method(score=Counted()), Stops())
    resumed = build(job, tmp_path / 'broken', Method(score=Counted()))
    assert Counted.times == 2
    for name, value in whole[0].model.state_dict().items():
        assert torch.equal(value, resumed[0].model.state_dict()[name]), name


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    class Stops(Quiet):
        def step(self, done: int, text: str = '') -> None:
            if 'epoch 2/2' in text and self.lines[-1].startswith('50'):
                raise KeyboardInterrupt

    job = classifier(tmp_path, HALF, 'prune.method=adasp', 'finetune=null')
    with pytest.raises(KeyboardInterrupt):
        build(job, tmp_path, reporter=Stops())
    (checkpoint,) = tmp_path.glob('run-*/cut-50-*.checkpoint')
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r'cut-50-.*damaged checkpoint .* delete it'):
        build(job, tmp_path)


def test_choosing_the_best_epoch_never_reads_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    evaluate = ClassificationTask.evaluate

    def noted(self: Any, predict: Any, split: str = 'val', batch_size: int = 1) -> Any:
        read.append(split)
        return evaluate(self, predict, split, batch_size)

    monkeypatch.setattr(ClassificationTask, 'evaluate', noted)
    soft = 'soft={epochs: 2, batch_size: 16, evaluate_every: 1, keep_best: true}'
    build(
        classifier(tmp_path / 'soft', HALF, soft, 'finetune=null'), tmp_path,
        adasp(AdaSPOptions()),
    )
    assert set(read) == {'val'}


def test_the_same_seed_gives_the_same_ladder_and_another_does_not(tmp_path: Path) -> None:
    def weights(folder: str, seed: int) -> dict[str, Tensor]:
        job = classifier(
            tmp_path / folder, HALF, f'seed={seed}', 'train.epochs=1',
            'sparse={epochs: 1, batch_size: 16, threads: 1}',
        )
        method = Method(score=L1Magnitude(), sparse=Sparse())
        return build(job, tmp_path / folder, method)[0].model.state_dict()

    first, again, other = weights('a', 0), weights('b', 0), weights('c', 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(
        first[name].shape != other[name].shape or not torch.equal(first[name], other[name])
        for name in first
    )
