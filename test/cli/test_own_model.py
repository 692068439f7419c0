# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/own_model.md, word for word: the detector printed there becomes a ladder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from uav_prune_perception.cli.main import main
from uav_prune_perception.ladder import open_ladder
from uav_prune_perception.networks.imported import own_sources
from uav_prune_perception.networks.registry import NetworkError, build_network

PAGE = Path(__file__).parents[2] / 'docs' / 'own_model.md'
RECIPE = """
name: own
seed: 1
data: {kind: generated_scenes, width: 128, height: 96, train: 16, val: 8, test: 8}
network: {name: 'my_net:MyDetector', options: {width: 8}}
train: {epochs: 1, batch_size: 8, lr: 0.003, threads: 1}
prune:
  method: l1
  levels: [{kept_macs: 1.0}, {kept_macs: 0.5}]
finetune: {epochs: 1, batch_size: 8, lr: 0.001, threads: 1}
export: {profile_runs: 5, threads: 1}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (code,) = re.findall(r'```python\n# my_net\.py\n(.*?)```', PAGE.read_text(), re.DOTALL)
    (tmp_path / 'my_net.py').write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, 'my_net', raising=False)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    return tmp_path


@pytest.mark.slow
def test_the_detector_of_the_page_becomes_a_ladder(own):
    (own / 'recipe.yaml').write_text(RECIPE)
    assert main(['prune', 'recipe.yaml', '-o', 'ladder']) == 0
    ladder = open_ladder(own / 'ladder')
    assert [round(level.kept_macs, 1) for level in ladder.levels] == [1.0, 0.5]
    assert (own / 'ladder' / 'report.html').is_file()


@pytest.mark.slow
def test_a_change_in_the_own_file_is_told_and_begins_anew_only_when_asked(own, capsys):
    def again(*words):
        for name in ('my_net', 'my_blocks'):
            sys.modules.pop(name, None)
        capsys.readouterr()
        status = main(['prune', 'recipe.yaml', '-o', 'ladder', '--overwrite', *words])
        return status, ' '.join(''.join(capsys.readouterr()).split())

    page = (own / 'my_net.py').read_text()
    (own / 'my_net.py').write_text('import my_blocks  # noqa: F401\n' + page)
    (own / 'my_blocks.py').write_text('SLOPE = 0.1\n')
    (own / 'recipe.yaml').write_text(RECIPE)
    assert again()[0] == 0
    status, told = again()
    assert status == 0
    assert 'has changed' not in told
    (own / 'my_blocks.py').write_text('SLOPE = 0.25\n')
    status, told = again()
    assert status == 0
    assert told.count('my_blocks.py has changed since an earlier run made dense') == 1
    assert '--fresh' in told
    (own / 'my_net.py').write_text(page.replace('2 * width', '3 * width'))
    assert page != (own / 'my_net.py').read_text(), 'another architecture, or this tests nothing'
    status, told = again()
    assert status == 1
    assert 'my_net.py changed, does not fit it; --fresh begins anew' in told
    status, told = again('--fresh')
    assert status == 0
    assert 'changed' not in told


@pytest.mark.parametrize('init', [True, False])
def test_own_files_are_those_beside_the_module_or_below_its_package(own, init):
    package = own / f'nets{int(init)}'
    package.mkdir()
    if init:
        (package / '__init__.py').write_text('')
    (package / 'part.py').write_text('from torch import nn\n')
    (package / 'net.py').write_text(
        f'from nets{int(init)}.part import nn\n'
        'def net(classes): return nn.Conv2d(3, classes, 1)\n'
    )
    name = f'nets{int(init)}.net:net'
    build_network(name, classes=2)
    assert {Path(file).name for file in own_sources(name)} >= {'net.py', 'part.py'}
    assert own_sources('yolo') == {}
    build_network('torch.nn:Identity', classes=2)
    assert own_sources('torch.nn:Identity') == {}, 'installed'


def test_a_loss_of_its_own_is_not_distilled_and_says_so(own, capsys):
    recipe = RECIPE.replace('finetune: {', 'finetune: {distil: true, ')
    (own / 'recipe.yaml').write_text(recipe)
    assert main(['prune', 'recipe.yaml', '-o', 'ladder']) == 2
    told = capsys.readouterr().err
    assert 'recipe.yaml:' in told
    assert 'set finetune.distil: false' in told
    assert 'dense' not in told, 'said before anything is trained'


def test_classes_and_channels_are_filled_in_under_their_usual_names(own):
    (own / 'plain.py').write_text(
        'from torch import nn\n'
        'def net(num_classes, in_chans=3, depth=1):\n'
        '    return nn.Sequential(nn.Conv2d(in_chans, depth, 1), nn.Flatten(),\n'
        '                         nn.LazyLinear(num_classes))\n'
        'THREE = 3\n'
        'def nothing(): return 3\n'
        'def broken(): raise RuntimeError("no such\\nlayer")\n'
    )
    model = build_network('plain:net', classes=5, channels=1, depth=2)
    assert (model[0].in_channels, model[0].out_channels, model[2].out_features) == (1, 2, 5)
    for name, words in (
        ('plain:nix', 'has no "nix"'), ('nowhere:net', 'cannot be imported: ModuleNotFoundError'),
        ('plain:nothing', 'gives a int, not a torch nn.Module'),
        ('plain:THREE', 'cannot be called'),
        ('plain:broken', 'RuntimeError: no such layer'),
    ):
        with pytest.raises(NetworkError, match=words):
            build_network(name, classes=5)
