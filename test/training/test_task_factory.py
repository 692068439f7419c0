# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.ladder import BoxesScores, Logits
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.fit import FitOptions, fit
from uav_prune_perception.training.task import torch_predict
from uav_prune_perception.training.task_factory import make_task

SCENES = {'kind': 'generated_scenes', 'train': 4, 'val': 2, 'test': 2, 'width': 96, 'height': 64}


def test_a_detection_task_knows_its_input_and_answers_perfect_truth_with_one():
    task = make_task(SCENES)
    assert (task.kind, task.input.width, task.input.height) == ('detection', 96, 64)
    assert isinstance(task.decode, BoxesScores)
    assert task.example_input().shape == (1, 3, 64, 96)
    split = task.data.split('val')
    answers = iter(range(len(split)))

    def oracle(images):
        index = next(answers)
        output = np.zeros((1, 8, max(1, len(split.boxes[index]))), np.float32)
        for slot, (box, label) in enumerate(
            zip(split.boxes[index], split.labels[index], strict=True)
        ):
            output[0, :4, slot], output[0, 4 + label, slot] = box, 0.9
        return output

    assert task.evaluate(oracle).value == 1.0


def test_batches_are_decided_by_the_generator():
    task = make_task(SCENES)

    def batch(seed):
        return next(task.train_batches(0, 2, torch.Generator().manual_seed(seed)))

    assert torch.equal(batch(1)[0], batch(1)[0])
    assert torch.equal(batch(1)[1], batch(1)[1])
    assert not torch.equal(batch(1)[0], batch(2)[0])
    assert batch(1)[0].shape == (2, 3, 64, 96)
    assert batch(1)[1].shape[1] == 6


def test_an_image_folder_is_learnt(tmp_path):
    for name, color in (('dark', 20), ('light', 230)):
        (tmp_path / name).mkdir()
        for index in range(12):
            Image.new('RGB', (8, 8), (color,) * 3).save(tmp_path / name / f'{index}.png')
    task = make_task({'kind': 'image_folder', 'root': str(tmp_path), 'width': 16, 'height': 16})
    assert (task.kind, task.classes) == ('classification', ('dark', 'light'))
    assert isinstance(task.decode, Logits)
    torch.manual_seed(0)
    model = build_network('resnet_cifar', classes=2, depth=8)
    fit(model, task, FitOptions(epochs=6, batch_size=4, lr=0.01))
    accuracy = task.evaluate(torch_predict(model), 'test')
    assert accuracy.value == 1.0
    assert accuracy.per_class == {'dark': 1.0, 'light': 1.0}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'kind': 'generated_scene'}, 'data.kind: no "generated_scene"; did you mean'),
        ({'widht': 64}, 'data.widht: unknown; did you mean "width"'),
        ({'augmentation': {'flips': True}}, 'data.augmentation.flips: unknown'),
        ({'kind': 'image_folder', 'train': 1}, 'data.train: unknown'),
    ],
)
def test_a_wrong_mapping_is_one_clear_line(change, words):
    with pytest.raises(DatasetError, match=words):
        make_task({**SCENES, **change})
