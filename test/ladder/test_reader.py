# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil

import plain_ladder
import pytest

from uav_prune_perception.ladder import LadderError, Logits, open_ladder, reseal


@pytest.fixture
def folder(tmp_path):
    plain_ladder.write(tmp_path / 'ladder')
    return tmp_path / 'ladder'


def document(folder) -> dict:
    return json.loads((folder / 'ladder.json').read_text())


def edit(folder, change) -> None:
    value = document(folder)
    change(value)
    (folder / 'ladder.json').write_text(json.dumps(value))


def refused(folder, *words) -> str:
    """Opening fails with one line that names the folder and has all of ``words``."""
    with pytest.raises(LadderError) as caught:
        open_ladder(folder)
    text = str(caught.value)
    assert '\n' not in text
    assert str(folder) in text
    for word in words:
        assert word in text
    return text


def test_what_is_opened_is_what_was_written(tmp_path):
    written = plain_ladder.write(tmp_path / 'ladder')
    opened = open_ladder(tmp_path / 'ladder')
    assert opened == written
    assert opened.folder == tmp_path / 'ladder'
    assert opened.classes == ('Mensch', 'Auto', '鸟')
    assert opened.input.mean == (0.1, 0.2, 0.3)
    assert [level.name for level in opened.levels] == ['100', '50']
    assert opened.level('50').accuracy.per_class == {'Auto': 0.75}
    assert opened.level('50').profiles['here'].energy_j == 0.01
    assert opened.file(opened.levels[1]).read_bytes() == b'model50'
    assert opened.file(opened.levels[1], 'plan.json').read_text() == '{}'
    assert (opened.folder / 'report.md').is_file()


def test_asking_for_what_is_not_there_names_what_is(folder):
    ladder = open_ladder(folder)
    with pytest.raises(LadderError, match='no level "7"; there are 100, 50'):
        ladder.level('7')
    with pytest.raises(LadderError, match=r'has no weights\.safetensors, only model\.onnx'):
        ladder.file(ladder.levels[0], 'weights.safetensors')


def test_a_copy_and_a_moved_ladder_open(folder, tmp_path):
    shutil.copytree(folder, tmp_path / 'copy')
    folder.rename(tmp_path / 'moved')
    assert open_ladder(tmp_path / 'copy') == open_ladder(tmp_path / 'moved')


def test_a_link_to_a_ladder_opens(folder, tmp_path):
    (tmp_path / 'link').symlink_to(folder)
    assert open_ladder(tmp_path / 'link') == open_ladder(folder)


def test_no_folder_and_no_document(tmp_path):
    refused(tmp_path / 'none', 'no such ladder folder')
    refused(tmp_path, 'not a ladder, ladder.json is missing')


@pytest.mark.parametrize('text', ['', '{', '{"format": NaN}', '[' * 100_000, 'ladder', '1' * 5000])
def test_a_document_that_is_no_json(folder, text):
    (folder / 'ladder.json').write_text(text)
    refused(folder)


def test_a_document_in_another_encoding(folder):
    (folder / 'ladder.json').write_bytes(b'\xff\xfe\x00')
    refused(folder, 'cannot be read')


@pytest.mark.parametrize('text', ['[]', '3', 'null', '"x"', '{}', '{"format": "other"}'])
def test_json_that_is_no_ladder(folder, text):
    (folder / 'ladder.json').write_text(text)
    refused(folder, 'not a ladder document')


@pytest.mark.parametrize('version', [0, 3, '1', None, True])
def test_another_version(folder, version):
    edit(folder, lambda value: value.update(schema_version=version))
    refused(folder, 'schema')


def test_a_truncated_document(folder):
    text = (folder / 'ladder.json').read_text()
    for length in range(0, len(text) - 2, 97):
        (folder / 'ladder.json').write_text(text[:length])
        refused(folder)


def test_an_edited_number_is_noticed_and_can_be_accepted(folder):
    edit(folder, lambda value: value['decode'].update(score_threshold=0.4))
    refused(folder, 'digest', '--reseal')
    assert reseal(folder).decode.score_threshold == 0.4
    assert open_ladder(folder).decode.score_threshold == 0.4


def test_resealing_does_not_accept_nonsense(folder):
    before = (folder / 'ladder.json').read_text()
    edit(folder, lambda value: value['decode'].update(score_threshold=4))
    edited = (folder / 'ladder.json').read_text()
    with pytest.raises(LadderError, match='score_threshold'):
        reseal(folder)
    assert (folder / 'ladder.json').read_text() == edited != before


def seal(value) -> None:
    from uav_prune_perception.ladder.document import digest
    value['digest'] = digest(value)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda v: v['levels'].clear(), ['levels']),
        (lambda v: v['levels'].reverse(), ['most to fewest MACs']),
        (lambda v: v['levels'][1].update(name='100'), ['same name']),
        (lambda v: v['levels'][0].update(name='../x'), ['levels.0.name']),
        (lambda v: v['levels'][0].update(kept_macs=1.5), ['levels.0.kept_macs']),
        (lambda v: v['levels'][0]['files'].pop('model.onnx'), ['levels.0.files', 'model.onnx']),
        (lambda v: v['levels'][0].pop('accuracy'), ['levels.0', 'accuracy']),
        (lambda v: v['input'].update(width=0), ['input.width']),
        (lambda v: v['input'].update(width=320.0), ['input.width']),
        (lambda v: v['input'].update(width=True), ['input.width']),
        (lambda v: v['input'].update(mean=[0.1]), ['input.mean', '1 numbers for 3 channels']),
        (lambda v: v['input'].update(color='gray'), ['for 1 channels']),
        (lambda v: v['input'].update(std=[1, 0, 1]), ['input.std']),
        (lambda v: v.update(task='classification'), ['decode.kind', 'logits']),
        (lambda v: v.update(classes=['a', 'a']), ['classes']),
        (lambda v: v.update(classes=[]), ['classes']),
        (lambda v: v.update(surprise=1), ['surprise']),
        (lambda v: v['decode'].update(kind='magic'), ['decode']),
        (lambda v: v['levels'][0].update(profiles=[]), ['profiles']),
    ],
)
def test_wrong_content_is_named_even_when_sealed(folder, change, words):
    def both(value):
        change(value)
        seal(value)
    edit(folder, both)
    refused(folder, *words)


@pytest.mark.parametrize('number', ['NaN', 'Infinity', '-Infinity', '1e999'])
def test_numbers_that_json_does_not_know(folder, number):
    path = folder / 'ladder.json'
    path.write_text(path.read_text().replace('"seed": 3', f'"seed": {number}'))
    with pytest.raises(LadderError):
        open_ladder(folder)


def test_every_flipped_byte_of_a_model_is_noticed(folder):
    path = folder / 'levels/50/model.onnx'
    good = path.read_bytes()
    for index in range(len(good)):
        bad = bytearray(good)
        bad[index] ^= 1
        path.write_bytes(bytes(bad))
        refused(folder, 'levels/50/model.onnx', 'sha256')
    assert open_ladder(folder, checksums=False).levels  # sizes agree: only hashing tells
    path.write_bytes(good)
    open_ladder(folder)


def test_every_flipped_byte_of_the_document_is_noticed(folder):
    path = folder / 'ladder.json'
    good = path.read_bytes()
    sealed = json.loads(good)
    for index in range(0, len(good), 7):
        bad = bytearray(good)
        bad[index] ^= 1
        path.write_bytes(bytes(bad))
        try:
            opened = open_ladder(folder)
        except LadderError:
            continue
        # Only white space may differ without a word.
        assert json.loads(bad) == sealed, (index, opened)


def test_a_truncated_and_a_missing_file(folder):
    path = folder / 'levels/100/model.onnx'
    path.write_bytes(path.read_bytes()[:-1])
    refused(folder, 'levels/100/model.onnx', '7 bytes, not 8')
    with pytest.raises(LadderError, match='7 bytes'):
        open_ladder(folder, checksums=False)
    path.unlink()
    refused(folder, 'levels/100/model.onnx is missing')
    path.mkdir()
    refused(folder, 'levels/100/model.onnx is missing')


def test_who_can_do_without_a_damaged_level_is_told_which(folder):
    (folder / 'levels/100/model.onnx').write_bytes(b'')
    damaged: dict[str, str] = {}
    ladder = open_ladder(folder, damaged=damaged)
    assert list(damaged) == ['100']
    assert 'has 0 bytes' in damaged['100']
    for level in ladder.levels:
        ladder.file(level).unlink(missing_ok=True)
    with pytest.raises(LadderError, match='missing'):
        open_ladder(folder, damaged={})


@pytest.mark.parametrize('path', [
    '../x', '/etc/passwd', 'levels/../../x', 'levels\\..\\x', 'a\0b', '', '.', 'x' * 5000,
    'levels/100/../../../ladder/levels/100/model.onnx',
])
def test_a_path_out_of_the_folder_is_refused(folder, tmp_path, path):
    (tmp_path / 'x').write_bytes(b'model100')

    def change(value):
        value['levels'][0]['files']['model.onnx']['path'] = path
        seal(value)
    edit(folder, change)
    refused(folder)


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_not(folder, tmp_path):
    path = folder / 'levels/100/model.onnx'
    path.rename(folder / 'elsewhere')
    path.symlink_to(folder / 'elsewhere')
    open_ladder(folder)
    path.unlink()
    (folder / 'elsewhere').rename(tmp_path / 'outside')
    path.symlink_to(tmp_path / 'outside')
    refused(folder, 'link out of the ladder folder')
    path.unlink()
    shutil.move(folder / 'levels', tmp_path / 'levels')
    (folder / 'levels').symlink_to(tmp_path / 'levels')
    refused(folder, 'link out of the ladder folder')


def test_a_loop_of_links(folder):
    path = folder / 'levels/100/model.onnx'
    path.unlink()
    path.symlink_to(path)
    refused(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_file_that_may_not_be_read(folder):
    (folder / 'levels/100/model.onnx').chmod(0)
    refused(folder, 'cannot be read')


def test_an_unreadable_file_is_one_line(folder, monkeypatch):
    def broken(path):
        raise OSError(5, 'Input/output error')
    monkeypatch.setattr('uav_prune_perception.ladder.reader.sha256_of', broken)
    refused(folder, 'levels/100/', 'Input/output error')


def test_a_classification_ladder_round_trips(tmp_path):
    written = plain_ladder.write(tmp_path / 'l', task='classification', decode=Logits(top_k=2))
    assert open_ladder(tmp_path / 'l') == written
    assert written.decode == Logits(top_k=2)


def test_thresholds_of_classes_come_back_and_must_name_classes(folder):
    names = open_ladder(folder).classes
    edit(folder, lambda value: value['decode'].update(class_thresholds={names[0]: 0.1}))
    assert reseal(folder).decode.class_thresholds == {names[0]: 0.1}
    edit(folder, lambda value: value['decode'].update(class_thresholds={'zebra': 0.1}))
    with pytest.raises(LadderError, match='class_thresholds: no class "zebra"'):
        reseal(folder)
