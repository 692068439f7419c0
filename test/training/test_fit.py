# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from uav_prune_perception.datasets.detection_set import DetectionSet, DetectionSplit
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.checkpoint import save_checkpoint
from uav_prune_perception.training.detection_task import DetectionTask
from uav_prune_perception.training.fit import FitHook, FitOptions, fit
from uav_prune_perception.training.recalibrate import recalibrate_batchnorm
from uav_prune_perception.training.task import TrainingError, torch_predict
from uav_prune_perception.training.task_factory import make_task

OPTIONS = FitOptions(epochs=3, batch_size=4, evaluate_every=3)


@pytest.fixture(scope='module')
def task():
    return make_task(
        {'kind': 'generated_scenes', 'train': 8, 'val': 2, 'test': 1, 'width': 96, 'height': 64}
    )


def network():
    torch.manual_seed(0)
    return build_network('aerial_detector', classes=4, width=0.5)


def same(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_the_same_seed_gives_the_same_weights_and_another_does_not(task):
    first, second, third = network(), network(), network()
    records = fit(first, task, OPTIONS)
    fit(second, task, OPTIONS)
    fit(third, task, dataclasses.replace(OPTIONS, seed=1))
    assert same(first, second)
    assert not same(first, third)
    assert [r.epoch for r in records] == [0, 1, 2]
    assert records[2].loss < records[0].loss
    assert records[2].accuracy is not None
    assert not first.training




def test_a_gradient_that_is_not_finite_is_named_before_it_is_in_the_weights(task):
    class RootOfZero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, images):
            return self.net(images)

        def training_loss(self, output, targets):
            return (output[0][:, 0] * 0).sqrt().sum() + output[0].square().mean()

    model = RootOfZero()
    with pytest.raises(TrainingError, match=(
        r'the loss is [\d.]+ in epoch 1, step 1, but its gradient is not finite \(first: net\.'
    )):
        fit(model, task, OPTIONS)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(task, tmp_path):
    whole, broken, resumed = network(), network(), network()
    hook = FitHook()
    expected = fit(whole, task, OPTIONS, hooks=[hook])
    path = tmp_path / 'run' / 'fit.pt'

    def stop(progress):
        if progress.epoch == 1 and progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, task, OPTIONS, checkpoint=path, progress=stop, hooks=[hook])
    records = fit(resumed, task, OPTIONS, checkpoint=path, hooks=[hook])
    assert same(whole, resumed)
    assert [r.loss for r in records] == [r.loss for r in expected]
    finished = network()
    fit(finished, task, OPTIONS, checkpoint=path, hooks=[hook], progress=stop)
    assert same(whole, finished)
    assert [p.name for p in path.parent.iterdir()] == ['fit.pt']


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(task, tmp_path):
    path = tmp_path / 'fit.pt'
    fit(network(), task, OPTIONS, checkpoint=path)
    with pytest.raises(TrainingError, match=r'of another run \(other lr'):
        fit(network(), task, dataclasses.replace(OPTIONS, lr=1e-3), checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match='damaged checkpoint') as caught:
        fit(network(), task, OPTIONS, checkpoint=path)
    assert '\n' not in str(caught.value)


def test_a_loss_that_is_not_finite_stops_in_one_line(task):
    model = network()
    with torch.no_grad():
        model.stem.conv.weight.fill_(float('nan'))
    with pytest.raises(TrainingError, match='epoch 1, step 1; lower lr'):
        fit(model, task, OPTIONS)


class Recorder(FitHook):
    def __init__(self):
        self.calls = []

    def penalty(self, model):
        self.calls.append('penalty')
        return sum(p.abs().sum() for p in model.parameters()) * 1e-6

    def after_backward(self, model):
        assert model.stem.conv.weight.grad is not None
        self.calls.append('backward')

    def after_step(self, model, done):
        self.calls.append(done)


def test_hooks_and_progress_see_every_step(task):
    hook, seen = Recorder(), []
    options = dataclasses.replace(OPTIONS, epochs=1, evaluate_every=0)
    fit(network(), task, options, hooks=[hook], progress=seen.append)
    assert hook.calls == ['penalty', 'backward', 0.5, 'penalty', 'backward', 1.0]
    assert [p.fraction for p in seen] == [0.5, 1.0]


def test_a_teacher_pulls_and_stays_as_it_is(task):
    teacher, student, alone = network(), network(), network()
    fit(teacher, task, OPTIONS)
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    fit(student, task, OPTIONS, teacher=teacher)
    fit(alone, task, OPTIONS)
    assert not same(student, alone)
    assert all(torch.equal(v, teacher.state_dict()[k]) for k, v in before.items())


def test_recalibration_repairs_batchnorm_and_nothing_else(task):
    model = network()
    fit(model, task, OPTIONS)
    weight = model.stem.conv.weight.clone()
    model.stem.bn.running_mean += 100.0
    assert recalibrate_batchnorm(model, task.calibration_batches(2, 4)) == 2
    assert model.stem.bn.running_mean.abs().max() < 10
    assert model.stem.bn.momentum == 0.03
    assert torch.equal(weight, model.stem.conv.weight)
    assert not model.training


def test_calibration_looks_at_all_of_the_split_and_at_no_picture_twice():
    images = np.repeat(np.arange(200, dtype=np.uint8), 64).reshape(200, 8, 8, 1)
    nothing = [np.zeros((0, 4), np.float32)] * 200
    split = DetectionSplit(images, nothing, [np.zeros(0, np.int64)] * 200, nothing)
    own = DetectionTask(DetectionSet(('a',), lambda name: split, ''))
    shown = torch.cat(list(own.calibration_batches(4, 8)))[:, 0, 0, 0]
    numbers = ((shown * 0.25 + 0.5) * 255).round().int().tolist()
    assert len(set(numbers)) == 32
    assert min(numbers) < 40, 'files lie in the order of flights'
    assert max(numbers) > 160


def test_evaluation_takes_any_engine_at_any_batch(task):
    model = network()
    one = task.evaluate(torch_predict(model), 'val')
    two = task.evaluate(torch_predict(model), 'val', batch_size=2)
    assert one.metric == 'mAP50'
    assert one.n == 2
    assert one.value == pytest.approx(two.value)


def test_the_best_epoch_that_may_be_chosen_is_what_the_run_ends_with(task, monkeypatch, tmp_path):
    class Notes(FitHook):
        """Forbids the first epoch; notes the weights that are judged."""

        def __init__(self):
            self.judged, self.epoch = [], -1

        def after_epoch(self, model, epoch):
            self.epoch = epoch

        def before_evaluation(self, model):
            self.judged.append({k: v.clone() for k, v in model.state_dict().items()})
            with torch.no_grad():
                model.stem.conv.weight.zero_()

        def may_end(self, epoch):
            return epoch > 0

        def state_dict(self):
            return {'epoch': self.epoch}

        def load_state_dict(self, state):
            self.epoch = state['epoch']

    accuracies = [0.9, 0.6, 0.3]

    def evaluate(predict, split, batch_size):
        assert split == 'val'
        return dataclasses.replace(real(predict, split, batch_size), value=accuracies.pop(0))

    real = task.evaluate
    monkeypatch.setattr(task, 'evaluate', evaluate)
    hook, model = Notes(), network()
    options = dataclasses.replace(OPTIONS, evaluate_every=1, keep_best=True)
    fit(model, task, options, hooks=[hook], checkpoint=tmp_path / 'fit.pt')
    assert hook.epoch == 1, 'the state of the hook is that of the chosen epoch'
    assert all(torch.equal(v, hook.judged[1][k]) for k, v in model.state_dict().items())
    assert model.stem.conv.weight.any(), 'what is changed to be judged is not what is kept'
    with pytest.raises(TrainingError, match='keep_best needs evaluate_every'):
        fit(network(), task, dataclasses.replace(options, evaluate_every=0))


def test_a_full_disk_is_said_and_the_checkpoint_before_it_stays(task, tmp_path, monkeypatch):
    path = tmp_path / 'fit.pt'
    fit(network(), task, dataclasses.replace(OPTIONS, epochs=1), checkpoint=path)
    before = path.read_bytes()

    def fails(state, file):
        Path(file).write_bytes(b'half')
        raise RuntimeError('[enforce fail at inline_container.cc:672] . unexpected pos 5 vs 4')

    monkeypatch.setattr(torch, 'save', fails)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage._replace(free=20_000))
    with pytest.raises(TrainingError, match=r'the disk is full \(0\.0 MB are free, 0\.\d MB'):
        save_checkpoint(path, {'model': network().state_dict()})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ['fit.pt']
