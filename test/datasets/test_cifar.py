# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""CIFAR in each form in which it is handed on, written here and read back."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uav_prune_perception.datasets.cifar import cifar10, cifar100
from uav_prune_perception.datasets.detection_set import DatasetError

PACKED = Path('/work/shared/data/cifar10')
COUNT = 40  # pictures of a batch
NAMES = [f'class{index}' for index in range(10)]


def content(batch: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(batch)
    labels = np.arange(COUNT) % 10
    images = random.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = labels, batch  # so that a picture tells its place
    return images, labels


def planes(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def files() -> list[tuple[str, int]]:
    return [*((f'data_batch_{index}', index) for index in range(1, 6)), ('test_batch', 6)]


def python_batches(folder: Path, protocol: int = 2) -> None:
    for name, batch in files():
        images, labels = content(batch)
        data = {b'data': planes(images), b'labels': labels.tolist(), b'batch_label': b'x'}
        (folder / name).write_bytes(pickle.dumps(data, protocol))
    meta = {b'label_names': [name.encode() for name in NAMES]}
    (folder / 'batches.meta').write_bytes(pickle.dumps(meta, protocol))


def binary_batches(folder: Path) -> None:
    for name, batch in files():
        images, labels = content(batch)
        rows = np.concatenate([labels[:, None].astype(np.uint8), planes(images)], axis=1)
        (folder / f'{name}.bin').write_bytes(rows.tobytes())
    (folder / 'batches.meta.txt').write_text('\n'.join(NAMES) + '\n\n')


def mosaic_packs(folder: Path) -> None:
    for index in range(1, 7):
        images, labels = content(index)
        mosaic = images.reshape(5, 8, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(160, 256, 3)
        stream = io.BytesIO()
        Image.fromarray(mosaic).save(stream, 'WEBP', lossless=True, exact=True)
        blob = np.frombuffer(stream.getvalue(), np.uint8)
        name = 'cifar10_test' if index == 6 else f'cifar10_train_{index}'
        np.savez(
            folder / f'{name}.npz', blob=blob, offsets=np.array([0, len(blob)]),
            side=np.array(32), labels=labels.astype(np.uint8), classes=np.array(NAMES),
        )


@pytest.mark.parametrize('write', [python_batches, binary_batches, mosaic_packs])
def test_every_form_gives_the_same_pictures_and_an_even_held_out_split(tmp_path, write):
    write(tmp_path)
    data = cifar10(tmp_path, val=20, seed=3)
    assert [len(data.split(name)) for name in ('train', 'val', 'test')] == [180, 20, 40]
    images, labels = content(6)
    assert np.array_equal(data.split('test').images, images)
    assert np.array_equal(data.split('test').labels, labels)
    assert np.bincount(data.split('val').labels).tolist() == [2] * 10
    for name in ('train', 'val'):
        split = data.split(name)
        assert np.array_equal(split.images[:, 0, 0, 0], split.labels)
    seen = {i.tobytes() for name in ('train', 'val') for i in data.split(name).images}
    assert len(seen) == 200, 'nothing is in both splits and nothing is lost'
    again, other = cifar10(tmp_path, val=20, seed=3), cifar10(tmp_path, val=20, seed=4)
    assert np.array_equal(data.split('val').images, again.split('val').images)
    assert not np.array_equal(data.split('val').images, other.split('val').images)


def test_the_folder_above_the_batches_will_do_and_old_pickles_too(tmp_path):
    (tmp_path / 'cifar-10-batches-py').mkdir()
    python_batches(tmp_path / 'cifar-10-batches-py', protocol=0)
    assert cifar10(tmp_path, val=10).classes == tuple(NAMES)


@pytest.mark.parametrize('form', ['python', 'binary'])
@pytest.mark.parametrize(('labels', 'classes'), [('fine', 100), ('coarse', 20)])
def test_cifar100_has_fine_and_coarse_labels(tmp_path, form, labels, classes):
    fine = np.arange(300) % 100
    images = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8)
    names = {'fine': [f'f{i}' for i in range(100)], 'coarse': [f'c{i}' for i in range(20)]}
    for name in ('train', 'test'):
        if form == 'python':
            data = {'data': planes(images), 'fine_labels': fine.tolist(),
                    'coarse_labels': (fine // 5).tolist()}
            (tmp_path / name).write_bytes(pickle.dumps(data, 2))
        else:
            both = np.stack([fine // 5, fine], axis=1).astype(np.uint8)
            rows = np.concatenate([both, planes(images)], axis=1)
            (tmp_path / f'{name}.bin').write_bytes(rows.tobytes())
            for kind, list_ in names.items():
                (tmp_path / f'{kind}_label_names.txt').write_text('\n'.join(list_))
    if form == 'python':
        meta = {f'{kind}_label_names': list_ for kind, list_ in names.items()}
        (tmp_path / 'meta').write_bytes(pickle.dumps(meta, 2))
    data = cifar100(tmp_path, val=100, labels=labels)
    assert len(data.classes) == classes
    wanted = fine if labels == 'fine' else fine // 5
    assert np.array_equal(data.split('test').labels, wanted)
    assert np.array_equal(data.split('test').images, images)


class Trap:
    def __reduce__(self):
        return (os.system, ('touch /tmp/uav_prune_cifar_trap',))


@pytest.mark.parametrize(
    ('damage', 'words'),
    [
        (pickle.dumps(Trap()), r'names (posix|os)\.system, which is not read'),
        (pickle.dumps({'data': np.zeros((2, 3072)), 'labels': [0, 1]}), 'wanted bytes'),
        (pickle.dumps({'data': np.zeros((2, 9), np.uint8), 'labels': [0, 1]}), r'pictures \(2, 9'),
        (pickle.dumps({'data': np.zeros((1, 3072), np.uint8), 'labels': [77]}), 'outside 0..9'),
        (pickle.dumps({'labels': [0, 1]}), 'no data'),
        (b'not a pickle at all', 'not a CIFAR batch'),
        (b'', 'not a CIFAR batch'),
    ],
)
def test_a_damaged_or_hostile_batch_is_one_line_and_runs_nothing(tmp_path, damage, words):
    python_batches(tmp_path)
    (tmp_path / 'data_batch_3').write_bytes(damage)
    with pytest.raises(DatasetError, match=words) as caught:
        cifar10(tmp_path, val=10)
    assert 'data_batch_3' in str(caught.value)
    assert '\n' not in str(caught.value)
    assert not Path('/tmp/uav_prune_cifar_trap').exists()


def test_missing_cut_off_or_absent_files_are_one_line(tmp_path):
    with pytest.raises(DatasetError, match='no batches of CIFAR-10'):
        cifar10(tmp_path)
    with pytest.raises(DatasetError, match='no such folder'):
        cifar10(tmp_path / 'nowhere')
    binary_batches(tmp_path)
    path = tmp_path / 'data_batch_2.bin'
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DatasetError, match=r'data_batch_2\.bin: .* no whole number'):
        cifar10(tmp_path, val=10)
    path.unlink()
    with pytest.raises(DatasetError, match=r'data_batch_2\.bin: missing'):
        cifar10(tmp_path, val=10)


def test_a_cut_off_pack_is_one_line(tmp_path):
    mosaic_packs(tmp_path)
    path = tmp_path / 'cifar10_train_4.npz'
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r'cifar10_train_4\.npz: not a mosaic pack'):
        cifar10(tmp_path, val=10)


@pytest.mark.parametrize(('val', 'words'), [(5, 'fewer than 10 classes'), (200, 'leave none')])
def test_a_held_out_split_must_make_sense(tmp_path, val, words):
    binary_batches(tmp_path)
    with pytest.raises(DatasetError, match=words):
        cifar10(tmp_path, val=val)
