# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Slips in a user's detector end in one line that names the method and what was wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uav_prune_perception.cli.main import main
from uav_prune_perception.training.own_loss import check_maps, own_decoded, own_loss
from uav_prune_perception.training.task import TrainingError

RAW = torch.ones(2, 6, 3, requires_grad=True)


class Slip(nn.Module):
    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.made = made

    def training_loss(self, raw: Tensor, targets: Tensor) -> Any:
        return self.made(raw)

    def decoded(self, raw: Tensor) -> Any:
        return self.made(raw)


@pytest.mark.parametrize(('made', 'words'), [
    (lambda raw: {'loss': raw.sum()}, r'training_loss: gives a dict, wanted one number'),
    (lambda raw: raw.sum().item(), r'gives a float, wanted one number'),
    (lambda raw: None, r'gives a NoneType, wanted one number'),
    (lambda raw: raw.mean((1, 2)), r'gives a tensor \[2\], wanted one number'),
    (lambda raw: raw.detach().sum(), r'without a gradient'),
    (lambda raw: raw[:, 99].sum(), r'training_loss: IndexError: index 99'),
])
def test_what_a_loss_must_give(made: Callable[[Tensor], Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words) as refusal:
        own_loss(Slip(made), RAW, torch.zeros(0, 6))
    assert str(refusal.value).startswith('Slip.training_loss: ')
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize(('made', 'words'), [
    (lambda raw: raw.flatten(1), r'decoded: gives \[2, 18\], but in evaluation .* \[2, 6, 3\]'),
    (lambda raw: [raw], r'decoded: gives list, but'),
    (lambda raw: raw.detach(), r'without a gradient; leave out detach'),
    (lambda raw: raw.boxes, r'decoded: AttributeError: '),
])
def test_what_decoded_must_give(made: Callable[[Tensor], Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        own_decoded(Slip(made), RAW, torch.zeros(2, 6, 3))


def test_what_is_right_passes() -> None:
    assert own_loss(Slip(lambda raw: raw.sum()[None]), RAW, torch.zeros(0, 6)).shape == ()
    assert own_decoded(Slip(lambda raw: raw * 2), RAW, torch.zeros(2, 6, 3)).shape == (2, 6, 3)
    check_maps(nn.Identity(), [torch.zeros(1, 6, 2, 2)])
    with pytest.raises(TrainingError, match=r'gives in training a Tensor \[1, 6, 2, 2\], not'):
        check_maps(nn.Identity(), torch.zeros(1, 6, 2, 2))


def test_a_lack_of_memory_stays_one() -> None:
    def greedy(raw: Tensor) -> Tensor:
        raise RuntimeError('CUDA out of memory')

    with pytest.raises(RuntimeError, match='out of memory') as error:
        own_loss(Slip(greedy), RAW, torch.zeros(0, 6))
    assert not isinstance(error.value, TrainingError)


NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    slip = 'none'
    def __init__(self, classes, channels=3):
        super().__init__()
        self.down = nn.Conv2d(channels, 8, 3, 16, 1)
        self.again = nn.Conv2d(8, 8, 3, 2, 1)
        self.head = nn.Conv2d(8, 4 + classes, 1)

    def forward(self, x):
        y = self.down(x)
        y = y + nn.functional.interpolate(self.again(y), scale_factor=2)
        raw = self.head(y).flatten(2)
        if self.slip == 'dict':
            return {'boxes': raw}
        scores = raw[:, 4:] * 9 if self.slip == 'logits' else raw[:, 4:].sigmoid()
        return torch.cat([raw[:, :4] * 50, scores], 1)

    def training_loss(self, output, targets):
        return output.mean()

class Logits(Net):
    slip = 'logits'

class Dict(Net):
    slip = 'dict'
"""
RECIPE = """
name: slip
data: {{kind: generated_scenes, train: 2, val: 1, test: 1, width: {width}, height: 64{more}}}
network: {{name: 'slip_net:{name}'{options}}}
train: {{epochs: 1, batch_size: 2, threads: 1}}
prune: {{method: l1, levels: [{{kept_macs: {kept}}}]}}
finetune: {{epochs: 0}}
"""


@pytest.mark.parametrize(('changes', 'words'), [
    ({'name': 'Logits'}, ':4: network slip_net:Logits: its scores lie from'),
    ({'name': 'Dict'}, 'it gives dict, wanted [1, 8, candidates]'),
    ({'width': 70}, 'data.width: 96 and data.height: 64 would do'),
    ({'options': ', options: {classes: 7}'}, 'network.options.classes: is told by the data'),
    ({'kept': 50}, 'prune.levels.0.kept_macs: input should be less than or equal to 1'),
    ({'more': ', augmentation: {mosaic: 3}'}, 'data.augmentation.mosaic: needs a number from 0'),
    ({'more': ', augmentation: {mosaic_scale: 1}'}, 'mosaic_scale: needs two numbers'),
])
def test_a_recipe_that_cannot_be_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any], words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, 'slip_net', raising=False)
    (tmp_path / 'slip_net.py').write_text(NETWORK)
    filled = {'name': 'Net', 'width': 64, 'more': '', 'options': '', 'kept': 1.0, **changes}
    (tmp_path / 'slip.yaml').write_text(RECIPE.format(**filled))
    assert main(['prune', 'slip.yaml', '-o', 'ladder']) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert 'training the dense network' not in told.out
    assert not (tmp_path / 'ladder').exists()
