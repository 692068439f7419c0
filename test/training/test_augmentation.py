# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch

from uav_prune_perception.training.augmentation import Augmentation, apply_change, draw_change
from uav_prune_perception.training.mosaic import draw_mosaic, mosaic
from uav_prune_perception.training.task_factory import make_task

PLAIN = Augmentation(gain=0.0, offset=0.0)


def augment(image, boxes, rng, options, pad_value=114):
    """One picture, changed at random."""
    height, width = image.shape[:2]
    return apply_change(image, boxes, draw_change(width, height, rng, options), pad_value)


def test_boxes_follow_the_pixels():
    """A white rectangle on black stays inside its box, whatever the turn, flip and scale."""
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(40):
        image = np.zeros((64, 96, 3), np.uint8)
        image[20:32, 40:64] = 255
        box = np.array([[40, 20, 64, 32]], np.float32)
        out, boxes, keep = augment(image, box, rng, PLAIN, pad_value=0)
        assert out.shape == image.shape
        if not keep[0]:
            continue
        y, x = np.nonzero(out[..., 0] > 127)
        np.testing.assert_allclose(
            [x.min(), y.min(), x.max() + 1, y.max() + 1], boxes[0], atol=1.6
        )
        seen += 1
    assert seen > 20


def test_a_box_that_leaves_no_longer_counts():
    rng = np.random.default_rng(1)
    options = Augmentation(flip=False, quarter_turns=False, scale=0.0, shift=0.9)
    box = np.array([[0, 0, 8, 8]], np.float32)
    kept = [augment(np.zeros((64, 64, 1), np.uint8), box, rng, options)[2][0] for _ in range(40)]
    assert 0 < sum(kept) < 40


def test_grey_pictures_keep_their_shape():
    rng = np.random.default_rng(2)
    out, _, _ = augment(
        np.full((32, 48, 1), 90, np.uint8), np.zeros((0, 4), np.float32), rng, Augmentation()
    )
    assert out.shape == (32, 48, 1)


@pytest.mark.parametrize('seed', range(6))
def test_boxes_of_a_mosaic_lie_around_what_they_mark(seed):
    """Four pictures, each with one bright block in a channel of its own."""
    rng = np.random.default_rng(seed)
    options = Augmentation(scale=0.2, gain=0.0, offset=0.0, mosaic=1.0)
    pictures = []
    for index in range(4):
        image = np.zeros((64, 96, 4), np.uint8)
        x, y = int(rng.integers(8, 60)), int(rng.integers(8, 40))
        image[y:y + 12, x:x + 20, index] = 255
        box = np.array([[x, y, x + 20, y + 12]], np.float32)
        pictures.append((image, box, np.array([index])))
    image, boxes, labels = mosaic(pictures, draw_mosaic(96, 64, rng, options), pad_value=0)
    assert image.shape == (64, 96, 4)
    assert len(labels)
    for box, label in zip(boxes, labels, strict=True):
        rows, columns = np.nonzero(image[..., label] > 127)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(box - found).max() <= 1.5
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= [96, 64]).all()


@pytest.mark.parametrize('augmentation', [{'mosaic': 0.6}, {}])
def test_parts_of_a_detector_s_batches_are_what_the_whole_ones_are_made_of(augmentation):
    task = make_task({
        'kind': 'generated_scenes', 'train': 8, 'val': 1, 'test': 1, 'width': 96, 'height': 64,
        'augmentation': augmentation,
    })

    def batches(*part):
        generator = torch.Generator().manual_seed(5)
        made = task.train_part if part else task.train_batches
        return list(made(0, 4, generator, *part))

    whole, parts = batches(), [batches(rank, 2) for rank in range(2)]
    assert len(whole) == len(parts[0]) == 2
    for (images, targets), *own in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([part[0] for part in own]), images)
        own[1][1][:, 0] += 2  # the second part's pictures are the third and the fourth
        assert torch.equal(torch.cat([part[1] for part in own]), targets)
    assert task.train_part(0, 3, torch.Generator(), 0, 2) is None


def test_parts_of_affine_batches_are_what_the_whole_ones_are_made_of(tmp_path):
    for split in ('train', 'val', 'test'):
        for index in range(8):
            path = tmp_path / split / 'ab'[index % 2] / f'{index}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = np.random.default_rng(index).integers(0, 255, (16, 16, 3), np.uint8)
            cv2.imwrite(str(path), picture)
    task = make_task({
        'kind': 'image_folder', 'root': str(tmp_path), 'width': 16, 'height': 16, 'mean': 0.5,
        'std': 0.25,
    })
    (images, labels), = task.train_batches(0, 8, torch.Generator().manual_seed(5))
    first, second = (
        next(iter(task.train_part(0, 8, torch.Generator().manual_seed(5), rank, 2)))
        for rank in range(2)
    )
    assert torch.equal(torch.cat([first[0], second[0]]), images)
    assert torch.equal(torch.cat([first[1], second[1]]), labels)


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
def test_batches_are_the_same_however_many_threads_make_them(tmp_path, monkeypatch, kind):
    if kind == 'detector':
        data = {'kind': 'generated_scenes', 'width': 64, 'height': 48, 'train': 20, 'val': 1,
                'test': 1, 'augmentation': {'mosaic': 0.5}}
    else:
        for name in ('left', 'right'):
            (tmp_path / name).mkdir()
            for index in range(15):
                noise = np.random.default_rng(index).integers(0, 255, (24, 24, 3), np.uint8)
                cv2.imwrite(str(tmp_path / name / f'{index}.png'), noise)
        data = {'kind': 'image_folder', 'root': str(tmp_path), 'width': 24, 'height': 24,
                'augmentation': {'scale': 0.4}}
    task, found = make_task(data), []
    for count in (1, 5):
        for module in ('detection_batches', 'classification_task'):
            monkeypatch.setattr(
                f'uav_prune_perception.training.{module}.decoding_threads', lambda n=count: n
            )
        generator = torch.Generator().manual_seed(1)
        found.append([t for batch in task.train_batches(0, 6, generator) for t in batch])
    assert len(found[0]) >= 6
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def makers():
    return [thread for thread in threading.enumerate()
            if thread.name.startswith(('ahead', 'augmentation'))]


def test_a_reader_that_stops_early_leaves_no_thread_behind():
    task = make_task({'kind': 'generated_scenes', 'width': 64, 'height': 48, 'train': 20,
                      'val': 1, 'test': 1})
    batches = task.train_batches(0, 2, torch.Generator().manual_seed(1))
    next(batches)
    assert makers()
    batches.close()
    assert not makers()
