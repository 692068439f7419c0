# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole-batch augmentation, and who may look at the test split how often."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from uav_prune_perception.datasets.classification_set import ClassificationSet, ClassificationSplit
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.training.ahead import ahead
from uav_prune_perception.training.classification_task import ClassificationTask
from uav_prune_perception.training.crop_flip import CropFlip, crop_flip
from uav_prune_perception.training.fit import FitOptions, fit
from uav_prune_perception.training.task import TrainingError, torch_predict
from uav_prune_perception.training.task_factory import make_task


def task(options: CropFlip | None = None) -> ClassificationTask:
    random = np.random.default_rng(0)

    def split(count: int) -> ClassificationSplit:
        images = random.integers(1, 256, (count, 12, 12, 3), dtype=np.uint8)
        return ClassificationSplit(images, np.arange(count) % 2)

    data = ClassificationSet(('a', 'b'), {'train': split(20), 'val': split(4), 'test': split(4)})
    return ClassificationTask(data, options or CropFlip(pad=2))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_changed_picture_is_a_crop_of_its_own_original():
    images = torch.from_numpy(task().data.split('train').images)
    changed = crop_flip(images, CropFlip(pad=2), seeded(0))
    assert changed.shape == (20, 3, 12, 12)
    padded = torch.nn.functional.pad(images.permute(0, 3, 1, 2), (2, 2, 2, 2))
    ways = set()
    for index in range(20):
        found = [
            (dy, dx, mirrored)
            for dy in range(5) for dx in range(5) for mirrored in (False, True)
            if torch.equal(
                changed[index].flip(2) if mirrored else changed[index],
                padded[index, :, dy:dy + 12, dx:dx + 12],
            )
        ]
        assert len(found) == 1
        ways.update(found)
    assert len(ways) > 10
    assert {mirrored for *_, mirrored in ways} == {False, True}


def test_no_crop_and_no_flip_change_nothing_and_quarter_turns_turn():
    images = torch.from_numpy(task().data.split('train').images)
    planes = images.permute(0, 3, 1, 2)
    assert torch.equal(crop_flip(images, CropFlip(0, flip=False), seeded(0)), planes)
    turned = crop_flip(images, CropFlip(0, flip=False, quarter_turns=True), seeded(0))
    turns = [
        next(k for k in range(4) if torch.equal(turned[i], planes[i].rot90(k, (1, 2))))
        for i in range(20)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_batches_follow_the_seed_and_visit_every_picture_once():
    own = task(CropFlip(0, flip=False))

    def epoch(seed):
        return [*own.train_batches(0, 5, seeded(seed))]

    first, again, other = epoch(1), epoch(1), epoch(2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    images = torch.cat([images for images, _ in first])
    assert len({tuple(row.flatten().tolist()) for row in images}) == 20
    expected = own.data.split('train').images[:1].astype(np.float32) / 255
    expected = (expected - np.array(own.input.mean)) / np.array(own.input.std)
    nearest = (images - torch.from_numpy(expected[0].transpose(2, 0, 1))).abs().amax((1, 2, 3))
    assert nearest.min() < 1e-5


def test_the_same_seed_trains_to_the_same_weights():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2))
        fit(model, task(), FitOptions(epochs=1, batch_size=10, seed=seed, ema=False))
        states.append(torch.cat([value.flatten() for value in model.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_test_split_is_read_as_often_as_agreed_and_no_more():
    own = task()
    predict = torch_predict(build_network('resnet_cifar', classes=2, depth=8))
    own.test_reads.limit = 2
    for _ in range(3):
        own.evaluate(predict, 'val')
    own.evaluate(predict, 'test')
    own.evaluate(predict, 'test')
    assert own.test_reads.count == 2
    with pytest.raises(TrainingError, match='read 2 times, once for each final model'):
        own.evaluate(predict, 'test')
    with pytest.raises(TrainingError, match='must not look at the test split'):
        next(own.calibration_batches(1, split='test'))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'augmentation': {'kind': 'crop_flop'}}, 'augmentation.kind: no "crop_flop"; did you'),
        ({'augmentation': {'kind': 'crop_flip', 'scale': 2}}, 'data.augmentation.scale: unknown'),
        ({'std': 0}, r'data\.std: needs one number or 3, on the 0\.\.1 scale, above 0'),
        ({'mean': [0.5, 0.5]}, r'data\.mean: needs one number or 3'),
        ({'kind': 'cifar12'}, 'did you mean "cifar10"'),
        ({'label_smoothin': 0.1}, 'did you mean "label_smoothing"'),
    ],
)
def test_a_wrong_learning_key_is_one_clear_line(tmp_path, change, words):
    from PIL import Image

    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.new('RGB', (8, 8), (index,) * 3).save(tmp_path / name / f'{index}.png')
    data = {'kind': 'image_folder', 'root': str(tmp_path), 'width': 8, 'height': 8}
    with pytest.raises(DatasetError, match=words):
        make_task({**data, **change})
    made = make_task({**data, 'mean': 0.5, 'std': [0.1, 0.2, 0.3],
                      'augmentation': {'kind': 'crop_flip', 'pad': 1}})
    assert made.input.mean == (0.5, 0.5, 0.5)
    assert made.input.std == (0.1, 0.2, 0.3)


def test_parts_of_batches_are_what_the_whole_ones_are_made_of(tmp_path):
    for split in ('train', 'val'):
        for index in range(20):
            path = tmp_path / split / 'ab'[index % 2] / f'{index}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = np.random.default_rng(index).integers(0, 255, (40, 40, 3), np.uint8)
            Image.fromarray(picture).save(path)
    options = {'kind': 'crop_flip', 'pad': 2, 'quarter_turns': True}
    made = make_task({
        'kind': 'imagenet', 'root': str(tmp_path), 'side': 32, 'resize': 36, 'val': 4,
        'augmentation': options,
    })

    def generator():
        return torch.Generator().manual_seed(3)

    whole = list(made.train_batches(0, 8, generator()))
    parts = [list(made.train_part(0, 8, generator(), rank, 2)) for rank in range(2)]
    assert len(whole) == len(parts[0]) == 2
    for (images, labels), first, second in zip(whole, *parts, strict=True):
        assert len(first[0]) == 4
        torch.testing.assert_close(torch.cat([first[0], second[0]]), images)
        assert torch.equal(torch.cat([first[1], second[1]]), labels)
    assert made.train_part(0, 7, generator(), 0, 2) is None


def test_reading_ahead_changes_nothing_and_hides_nothing():
    assert list(ahead(iter(range(20)))) == list(range(20))

    def breaks():
        yield 1
        raise ValueError('broken picture')

    found = ahead(breaks())
    assert next(found) == 1
    with pytest.raises(ValueError, match='broken picture'):
        next(found)
    left = ahead(iter(range(1000)))
    assert next(left) == 0
    left.close()
    assert not any(thread.name == 'ahead' for thread in threading.enumerate())
