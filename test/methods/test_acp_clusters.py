# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which channels ACP counts as one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.acp.clusters import (
    cluster_width,
    distances,
    mean_feature_maps,
)


def maps_with_equals(equal: int, others: int = 6) -> np.ndarray:
    """``equal`` rows alike and ``others`` at right angles to them and to one another."""
    rows = np.eye(others + 1)
    return np.concatenate([np.repeat(rows[:1], equal, axis=0), rows[1:]])


@pytest.mark.parametrize('equal', [2, 3, 4])
def test_two_to_four_equal_channels_are_not_merged(equal: int) -> None:
    far = distances(maps_with_equals(equal))
    assert cluster_width(far, eps=0.01) == equal + 6


@pytest.mark.parametrize('equal', [5, 6, 9])
def test_five_or_more_equal_channels_are_one(equal: int) -> None:
    far = distances(maps_with_equals(equal))
    assert cluster_width(far, eps=0.01) == 1 + 6


def test_smaller_min_samples_merges_pairs() -> None:
    assert cluster_width(distances(maps_with_equals(2)), eps=0.01, min_samples=2) == 1 + 6


def test_all_distinct_channels_stay() -> None:
    assert cluster_width(distances(np.eye(16)), eps=0.5) == 16


def test_the_widest_radius_leaves_one() -> None:
    assert cluster_width(distances(np.eye(16)), eps=2.0) == 1


def test_scale_does_not_count_but_sign_does() -> None:
    row = np.arange(1.0, 5.0)
    scaled = distances(np.stack([row * s for s in (1, 2, 3, 4, 5)]))
    assert cluster_width(scaled, eps=1e-6) == 1
    signed = distances(np.stack([row, row, row, -row, -row]))
    assert cluster_width(signed, eps=1e-6) == 5


def test_width_never_grows_with_the_radius() -> None:
    far = distances(np.random.default_rng(0).normal(size=(40, 12)))
    widths = [cluster_width(far, eps) for eps in np.linspace(0, 2, 60)]
    assert all(b <= a for a, b in itertools.pairwise(widths))


class Shared(nn.Module):
    """One head for two scales, and channels that come last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 1)
        self.tokens, self.out = nn.Linear(8, 5), nn.Linear(5, 2)

    def forward(self, x):
        y = self.stem(x)
        scales = [self.head(y), self.head(nn.functional.max_pool2d(y, 2))]
        rows = [self.tokens(one.flatten(2).transpose(1, 2)) for one in scales]
        return self.out(torch.cat(rows, 1).relu()).transpose(1, 2)


def test_a_layer_that_runs_on_several_sizes_and_one_whose_channels_come_last() -> None:
    model = Shared().eval()
    graph = ChannelGraph.trace(model, torch.zeros(1, 3, 4, 6))
    batches = [torch.randn(2, 3, 4, 6), torch.randn(3, 3, 4, 6)]
    found = mean_feature_maps(model, graph.groups, batches)
    assert found['head'].shape == (8, 24 + 6)
    assert found['tokens'].shape == (5, 24 + 6)
    with torch.no_grad():
        wanted = model.head(model.stem(torch.cat(batches))).sum(0).flatten(1).double().numpy()
    ratio = found['head'][:, :24] / wanted
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-4)


def test_maps_are_means_of_the_convolutions_output() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1)
    ).eval()
    images = torch.randn(6, 3, 8, 8)
    group = ChannelGraph.trace(model, images[:1]).group('0')
    found = mean_feature_maps(model, [group], [images[:2], images[2:]])['0']
    with torch.no_grad():
        wanted = model[0](images).mean(0).flatten(1).double().numpy()
    cosines = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(
        wanted, axis=1
    )
    assert np.allclose(cosines, 1.0, atol=1e-6)
