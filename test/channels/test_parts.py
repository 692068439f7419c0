# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that cannot be traced as a whole: their modules can, the Python between stays."""

from __future__ import annotations

import pytest
import torch
from channel_networks import conv
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelError, ChannelGraph, load_pruned, prune, verify


class Detector(nn.Module):
    """Images of any size in a list; boxes above a score out; a second stage on proposals."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(conv(3, 16), conv(16, 24))
        self.towers = nn.ModuleList([conv(24, 20), conv(24, 20)])
        self.scores = nn.Conv2d(20, 4, 1)
        self.second = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 5))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        batch = torch.stack([image * 2 - 1 for image in images])
        features = self.backbone(batch)
        heads = [self.scores(tower(features)) for tower in self.towers]
        found = []
        for index in range(len(images)):
            best = heads[0][index].flatten(1).amax(0)
            places = torch.nonzero(best > best.mean()).flatten()
            vectors = features[index].flatten(1).t()[places]
            found.append({'scores': best[places], 'second': self.second(vectors)})
        return found


class ShapesOnly(Detector):
    """The code between looks at the features' shape alone."""

    def forward(self, images: list[Tensor]) -> list[Tensor]:
        features = self.backbone(torch.stack(images))
        scores = self.scores(self.towers[0](features))
        anchors = torch.arange(features.shape[-1] * features.shape[-2])
        return [anchors[score.flatten(1).amax(0) > 0] for score in scores]


IMAGES = [torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(0))]


def make(kind: type[nn.Module] = Detector) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def test_a_detector_is_pruned_as_it_comes(tmp_path):
    model = make()
    result = prune(model, (IMAGES,))
    assert type(result.model) is Detector
    assert result.report.max_error < 1e-9
    assert 'traced and counted: backbone, towers.0, scores, towers.1' in str(result.report)
    assert result.model.backbone[0][0].out_channels == 8
    assert result.model.towers[0][0].out_channels == 10
    assert result.model.second[0].out_features == 16
    # The second stage reads the features in Python: they keep their channels.
    assert result.model.backbone[1][0].out_channels == 24
    assert set(result.model(IMAGES)[0]) == {'scores', 'second'}
    assert verify(model, result.model, result.plan, (IMAGES,)) < 1e-9
    result.plan.save(tmp_path / 'pruned', result.model)
    again = load_pruned(make, tmp_path / 'pruned').eval()
    assert torch.equal(again(IMAGES)[0]['second'], result.model(IMAGES)[0]['second'])


def test_a_list_of_images_is_understood_as_the_only_argument():
    assert prune(make(), IMAGES).plan == prune(make(), (IMAGES,)).plan


def test_code_that_reads_only_shapes_does_not_hold_channels():
    result = prune(make(ShapesOnly), (IMAGES,))
    assert result.model.backbone[1][0].out_channels == 12
    assert result.report.max_error < 1e-9
    assert len(result.model(IMAGES)) == 1


def test_tensors_changed_in_place_between_parts_are_inputs_of_the_next():
    class InPlace(Detector):
        def forward(self, images):
            features = self.backbone(torch.stack(images))
            features.view(-1).add_(1.0)
            scores = self.scores(self.towers[0](features))
            return [float(score) for score in scores.flatten() if score > 0]

    graph = ChannelGraph.trace(make(InPlace), (IMAGES,))
    assert 'backbone.1.0' not in {slot.module for g in graph.groups for slot in g.producers}
    assert prune(make(InPlace), (IMAGES,)).report.max_error < 1e-9


def test_what_a_part_changes_in_place_and_others_read_stays_whole():
    class Activated(Detector):
        def __init__(self):
            super().__init__()
            self.towers[0] = nn.Sequential(nn.ReLU(inplace=True), self.towers[0])
            self.backbone[1][2] = nn.Identity()

        def forward(self, images):
            features = self.backbone(torch.stack(images))
            scores = self.scores(self.towers[0](features))
            best = torch.nonzero(scores.flatten() > 0).flatten()
            return [features.mean(), self.second(features.flatten(2)[0].t()[best % 9])]

    result = prune(make(Activated), (IMAGES,))
    assert result.model.backbone[1][0].out_channels == 24
    assert result.model.towers[0][1][0].out_channels == 10
    assert result.model(IMAGES)[1].shape[1] == 5


def test_code_that_counts_channels_itself_is_told_about():
    class Counts(ShapesOnly):
        def forward(self, images):
            features = self.backbone(torch.stack(images))
            assert features.shape[1] == 24, 'not 24 channels'
            return [float(s) for s in self.scores(self.towers[0](features)).flatten() if s > 0]

    with pytest.raises(ChannelError, match=r'not 24 channels.*keep'):
        prune(make(Counts), (IMAGES,))
    result = prune(make(Counts), (IMAGES,), keep=('backbone',))
    assert result.model.towers[0][0].out_channels == 10


def test_weights_that_the_code_between_reads_stay():
    class Reads(ShapesOnly):
        def forward(self, images):
            features = self.backbone(torch.stack(images))
            scores = self.scores(self.towers[0](features))
            shift = self.scores.weight.sum() + self.towers[0][0].weight.mean()
            return [float(score) for score in (scores + shift).flatten() if score > 0]

    result = prune(make(Reads), (IMAGES,))
    assert result.model.towers[0][0].out_channels == 20
    assert result.model.backbone[0][0].out_channels == 8


def test_inputs_that_do_not_fit_are_named_as_the_problem():
    with pytest.raises(ChannelError, match='fails with the example inputs'):
        prune(make(), torch.rand(1, 3, 12, 16)[:, :2])
