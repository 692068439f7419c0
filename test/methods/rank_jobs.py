# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What `test_ranks` runs in one process and in two: ``python rank_jobs.py FOLDER``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_job import Quiet, classifier
from torch import nn

from uav_prune_perception.methods.driver import Driver
from uav_prune_perception.methods.job import open_task
from uav_prune_perception.methods.l1rr.sparsity import SparsityHook, SparsityOptions
from uav_prune_perception.methods.registry import make_method
from uav_prune_perception.methods.run_folder import RunFolder
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.feature_distillation import FeatureDistillation
from uav_prune_perception.training.fit import fit
from uav_prune_perception.training.fit_options import EpochRecord, FitOptions, FitProgress
from uav_prune_perception.training.ranks import RankLostError, Ranks
from uav_prune_perception.training.task import TrainingError
from uav_prune_perception.training.task_factory import make_task

# Momentum, but no division by the gradient's own size: rounding stays rounding
OPTIONS = FitOptions(
    epochs=2, batch_size=8, lr=0.02, optimizer='sgd', evaluate_every=1, threads=1, clip_norm=1.0
)
SCENES = {'kind': 'generated_scenes', 'train': 16, 'val': 3, 'test': 1, 'width': 96, 'height': 64}
ADASP = ('prune.method=adasp', 'train.optimizer=sgd', 'soft={epochs: 3, batch_size: 16, '
         'optimizer: sgd, lr: 0.05}', 'prune.levels=[{kept_macs: 0.5}]')
ACP = ('data.augmentation={kind: crop_flip, pad: 2}', 'prune.method=acp',
       'prune.options={mode: as_intended, particles: 3, cycles: 1, images: 4}',
       'train.epochs=1', 'search={epochs: 1, batch_size: 16, threads: 1}',
       'prune.levels=[{kept_macs: 0.6}]')


def detector(seed: int = 0) -> nn.Module:
    """A small one with initial weights."""
    torch.manual_seed(seed)
    return build_network('aerial_detector', classes=4, width=0.5)


def stop(state: FitProgress) -> None:
    """Ctrl-C, which comes to every process of a terminal."""
    if state.epoch == 1:
        raise KeyboardInterrupt


def learn(folder: Path, ranks: Ranks) -> dict[str, Any]:
    """Sparse training with a teacher of every layer: losses that divide by what is in the batch.

    Two processes are stopped in the second epoch, and start again.
    """
    task = make_task(SCENES)

    def once(progress: Callable[[FitProgress], None] | None) -> list[EpochRecord]:
        model = detector()
        hook = SparsityHook(model, SparsityOptions(strength=1e-3))
        teacher = detector(1)
        with FeatureDistillation(model, teacher, {}, 1.0) as features:
            found = fit(
                model, task, OPTIONS, teacher=teacher, hooks=[hook, features], ranks=ranks,
                checkpoint=folder / 'fit.pt', progress=progress,
            )
        models.append(model)
        return found

    models: list[nn.Module] = []
    if ranks.size > 1:
        with contextlib.suppress(KeyboardInterrupt):
            once(stop)
        assert not models, 'it was stopped'
    records = once(None)
    (model,) = models
    torch.save(model.state_dict(), folder / f'weights{ranks.rank}.pt')
    return {'loss': [r.loss for r in records], 'accuracy': [r.accuracy for r in records],
            'kinds': sorted({type(m).__name__ for m in model.modules()})}


def own_losses(ranks: Ranks) -> dict[str, list[float]]:
    """Losses that detectors bring themselves, with what a teacher adds: value, and gradients."""
    found = {}
    for name, options, size in (
        ('yolov5', {'width': 0.125}, 64), ('ssd300', {'norm': True, 'width': 0.03}, 300),
    ):
        torch.manual_seed(0)
        teacher, model = (
            build_network(name, classes=2, channels=1, **options) for _ in range(2)
        )
        images = torch.randn(4, 1, size, size)
        boxes = torch.tensor([
            [0, 1, 10, 10, 30, 40], [0, 0, 20, 5, 60, 30], [1, 0, 5, 5, 25, 60],
            [2, -1, 0, 0, 20, 20], [2, 1, 25, 25, 55, 50], [2, 0, 1, 1, 17, 20.0],
        ])  # the second process has half as many as the first
        task = make_task(SCENES)
        images, boxes = ranks.share(images, boxes)
        with ranks.learning(model.train()) as learner:
            loss = task.loss(learner, images, boxes, teacher.eval())
            loss.backward()
            found[name] = [float(ranks.mean(loss.detach())), *(
                float(p.grad.norm()) for p in model.parameters() if p.grad is not None
            )]
    return found


def build(folder: Path, ranks: Ranks, *settings: str) -> list[dict[str, Any]]:
    """The levels of a job."""
    job = classifier(folder / f'made{ranks.rank}', *settings)
    task = open_task(job, Quiet())
    with RunFolder(folder / 'run', ranks=ranks) as run:
        levels = Driver(job, make_method(job), task, run, Quiet()).build()
    return [{'kept': level.plan.kept, 'val': level.val.value} for level in levels]


def refused(ranks: Ranks) -> str:
    """What is said of a batch that cannot be shared."""
    try:
        fit(detector(), make_task(SCENES), FitOptions(epochs=1, batch_size=7), ranks=ranks)
    except TrainingError as error:
        return str(error)
    return ''


def lost(ranks: Ranks) -> str:
    """The last one leaves without a word; what do the others hear?"""
    if ranks.rank == ranks.size - 1:
        return ''
    try:
        ranks.wait()
    except RankLostError as error:
        return str(error)
    return ''


def main(folder: Path) -> None:
    """All of it; the results go to FOLDER/<rank>.json."""
    ranks = Ranks.from_environment()
    result = {
        'learnt': learn(folder, ranks),
        'own_losses': own_losses(ranks),
        'adasp': build(folder / 'adasp', ranks, *ADASP),
        'acp': build(folder / 'acp', ranks, *ACP),
        'refused': refused(ranks) if ranks.size > 1 else '',
        'lost': lost(ranks) if ranks.size > 1 else '',
    }
    (folder / f'{ranks.rank}.json').write_text(json.dumps(result))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    # `lost` leaves a group whose other end has gone; torch's threads that still listen to it may
    # abort the interpreter's own way out ("terminate called without an active exception")
    os._exit(0)
