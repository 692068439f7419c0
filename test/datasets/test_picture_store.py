# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that do not fit into memory: a mapped file, made once, whole or not at all."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from test_detection_folder import write

from uav_prune_perception.datasets import picture_store
from uav_prune_perception.datasets.detection_folder import detection_folder
from uav_prune_perception.datasets.detection_set import DatasetError
from uav_prune_perception.datasets.picture_store import PictureStore
from uav_prune_perception.training.task_factory import make_task

SHAPE = (5, 2, 3, 1)


def fill(images):
    """Every row its number; the second and the last cannot be read."""
    for row in (0, 2, 3):
        images[row] = row
    return np.array([True, False, True, True, False])


def never(images):
    raise AssertionError('decoded twice')


def test_a_mapped_split_is_the_same_as_one_in_memory_and_is_decoded_once(tmp_path):
    inside, mask = PictureStore('k').take('val', SHAPE, fill)
    mapped, same = PictureStore('k', tmp_path).take('val', SHAPE, fill)
    again, _ = PictureStore('k', tmp_path).take('val', SHAPE, never)
    assert mask.tolist() == same.tolist() == [True, False, True, True, False]
    for found in (inside, mapped, again):
        assert found[:, 0, 0, 0].tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match='read-only'):
        mapped[0] = 9


def test_where_memory_is_short_pictures_go_to_the_users_cache(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(picture_store, 'available_bytes', lambda: 40.0)
    images, _ = PictureStore('k').take('train', SHAPE, fill)  # 30 bytes are more than half
    assert images.shape == (3, 2, 3, 1)
    assert (tmp_path / 'uav_prune_perception/pictures/k-train/pictures.npy').is_file()
    assert 'data.cache chooses the place' in caplog.text


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage)
    with pytest.raises(DatasetError, match=r'data\.cache: .* has 0\.0 GB free'):
        PictureStore('k', tmp_path).take('val', SHAPE, never)
    assert not [*tmp_path.glob('*k-val/*')]


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / 'cache').write_text('')
    with pytest.raises(DatasetError, match=r'data\.cache: .* name another folder'):
        PictureStore('k', tmp_path / 'cache').take('val', SHAPE, never)


def test_a_run_killed_while_it_decodes_leaves_no_half_file(tmp_path):
    code = (
        'import sys, time, numpy as np\n'
        'from pathlib import Path\n'
        'from uav_prune_perception.datasets.picture_store import PictureStore\n'
        'def slow(images):\n'
        '    images[0] = 77\n'
        '    print("decoding", flush=True)\n'
        '    time.sleep(60)\n'
        f'PictureStore("k", Path(sys.argv[1])).take("val", {SHAPE}, slow)\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == 'decoding\n'
        process.kill()
    assert (tmp_path / '.k-val.partial').is_dir()
    images, _ = PictureStore('k', tmp_path).take('val', SHAPE, fill)
    assert images[:, 0, 0, 0].tolist() == [0, 2, 3]
    assert not (tmp_path / '.k-val.partial').exists()


def test_of_several_at_once_one_decodes(tmp_path):
    calls, found = [], []

    def slow(images):
        calls.append(1)
        time.sleep(0.2)
        return fill(images)

    def take():
        found.append(PictureStore('k', tmp_path).take('val', SHAPE, slow)[0])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert all(images.shape == (3, 2, 3, 1) for images in found)


def shown(task):
    """All that a training run sees."""
    for batch in task.train_batches(0, 4, torch.Generator().manual_seed(0)):
        yield from batch
    for batch in task.labelled_batches(2, 4):
        yield from batch
    yield from task.calibration_batches(2, 4)


def test_a_detector_learns_the_same_from_mapped_pictures(tmp_path):
    write(tmp_path / 'set', {'train': 6, 'val': 2, 'test': 2})
    sixteen_bits = np.zeros((50, 90), np.uint16)  # noticed where it is decoded
    Image.fromarray(sixteen_bits).save(tmp_path / 'set/images/train/02.png')
    options = {
        'kind': 'detection_folder', 'root': str(tmp_path / 'set'), 'width': 64, 'height': 64,
        'tile': 40, 'overlap': 8, 'augmentation': {'mosaic': 0.5},
    }
    tasks = [make_task(options), make_task({**options, 'cache': str(tmp_path / 'cache')})]
    assert tasks[0].data_sha256 == tasks[1].data_sha256, 'the place decides nothing'
    assert len(tasks[0].data.split('train')) == len(tasks[1].data.split('train')) == 5 * 6
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # torch warns of memory that must not be written
        one, other = ([*shown(task)] for task in tasks)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert len([*(tmp_path / 'cache').glob('*-train')]) == 1


def test_a_corrected_label_does_not_decode_anew(tmp_path):
    write(tmp_path / 'set', {'train': 3, 'val': 1, 'test': 1})
    for _ in range(2):
        data = detection_folder(
            tmp_path / 'set', width=32, height=32, cache=str(tmp_path / 'cache')
        )
        assert len(data.split('train')) == 3
        (tmp_path / 'set/labels/train/00.txt').write_text('0 0.4 0.4 0.2 0.2\n')
    assert len([*(tmp_path / 'cache').glob('*-train')]) == 1


@pytest.mark.parametrize('kind', ['detection_folder', 'generated_scenes'])
def test_worker_processes_load_their_own_pictures(tmp_path, kind):
    options = {'kind': kind, 'width': 64, 'height': 64}
    if kind == 'detection_folder':
        write(tmp_path / 'set', {'train': 3, 'val': 2, 'test': 1})
        options['root'] = str(tmp_path / 'set')
    else:
        options |= {'train': 3, 'val': 2, 'test': 1}
    task = make_task(options)
    before = task.data.split('val').images
    if kind == 'detection_folder':
        assert len(pickle.dumps(task)) < before.nbytes / 2, 'no pictures in it'
    after = pickle.loads(pickle.dumps(task)).data.split('val').images
    assert (before == after).all()
