# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that says the same to every picture, or nothing to any, is named in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uav_prune_perception.cli.main import main
from uav_prune_perception.export.engine_file import make_engine_file
from uav_prune_perception.training.task_factory import make_task

NETWORK = """
import torch
from torch import nn

class Dead(nn.Module):
    # boxes that the picture moves, and scores that nothing moves

    def __init__(self, classes, channels=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.head = nn.Conv2d(8, 4 + classes, 1)

    def forward(self, images):
        raw = self.head(self.body(images)).flatten(2)
        low = raw[:, :2].sigmoid() * 40
        high = low + raw[:, 2:4].sigmoid() * 20 + 1
        return torch.cat([low, high, (0 * raw[:, 4:]).sigmoid()], 1)

    def training_loss(self, output, targets):
        return output.square().mean()
"""
RECIPE = """
name: dead
data: {kind: generated_scenes, train: 2, val: 2, test: 2, width: 96, height: 64}
network: {name: 'dead_net:Dead'}
train: {epochs: 1, batch_size: 2, threads: 1}
prune: {method: l1, levels: [{kept_macs: 1.0}]}
finetune: {epochs: 0}
export: {profile_runs: 5, threads: 1}
"""


class Head(nn.Module):
    """A box in the middle of the picture, with a score made of the picture's brightness."""

    def __init__(self, gain: float, bias: float) -> None:
        super().__init__()
        self.gain, self.bias = gain, bias

    def forward(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3)).view(-1, 1, 1)
        score = (bright * self.gain + self.bias).sigmoid().expand(-1, 4, 3)
        corners = torch.tensor([10.0, 10, 40, 40]).view(1, 4, 1).expand(len(images), 4, 3)
        return torch.cat([corners, score], 1)


@pytest.mark.parametrize(('gain', 'bias', 'words'), [
    (0.0, 3.0, r'its scores do not depend on the picture \(the same to all 7'),
    (1.0, -2.5, r'flies without a single box: none of 3 test pictures.*the best score is 0\.'),
    (1.0, 3.0, None),
])
def test_one_line_for_an_odd_engine(
    tmp_path: Path, gain: float, bias: float, words: str | None
) -> None:
    task = make_task(
        {'kind': 'generated_scenes', 'train': 2, 'val': 6, 'test': 3, 'width': 96, 'height': 64}
    )
    facts = make_engine_file(Head(gain, bias), task, tmp_path, opset=17, tolerance=1e-3)
    found = facts.details.get('remarks', [])
    if words is None:
        assert found == []
    else:
        assert len(found) == 1
        assert re.search(words, found[0]), found


def test_a_dead_network_is_told_when_it_is_cut_and_wherever_the_ladder_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    (tmp_path / 'dead_net.py').write_text(NETWORK)
    (tmp_path / 'dead.yaml').write_text(RECIPE)
    assert main(['prune', 'dead.yaml', '-o', 'ladder']) == 0
    told = 'its scores do not depend on the picture'
    out = capsys.readouterr()
    assert (out.out + out.err).count(told) >= 1
    assert 'warning: 100: ' + told in ' '.join((out.out + out.err).split())
    assert main(['inspect', 'ladder']) == 0
    assert f'level 100: {told}' in capsys.readouterr().out
    for name in ('report.html', 'report.md'):
        assert f'level 100: {told}' in (tmp_path / 'ladder' / name).read_text()
