# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A level that asks for a measured latency."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_job import Quiet, build, classifier
from torch import nn

from uav_prune_perception.methods import level_cut
from uav_prune_perception.methods.interfaces import MethodError
from uav_prune_perception.methods.latency import LatencyMeter, LatencyRatio, search_latency


class Wide(nn.Module):
    """A network whose latency is known only by measuring."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Formula:
    """A meter that knows: latency = fixed part + rest * share of MACs, times some noise."""

    def __init__(self, fixed: float, noise: float = 0.0) -> None:
        self.fixed, self.noise, self.asked = fixed, noise, 0

    def ratio(self, model: nn.Module) -> LatencyRatio:
        self.asked += 1
        share = float(next(model.parameters()))
        value = self.fixed + (1 - self.fixed) * share
        return LatencyRatio(value * (1 + self.noise * (-1) ** self.asked), 0.002)


def of_share(share: float) -> nn.Module:
    module = nn.Module()
    module.register_parameter('share', nn.Parameter(torch.tensor(share)))
    return module


@pytest.mark.parametrize('fixed', [0.0, 0.2, 0.4])
@pytest.mark.parametrize('asked', [0.9, 0.6])
def test_few_measurements_lead_to_the_asked_latency(fixed: float, asked: float) -> None:
    meter = Formula(fixed)
    share, ratio = search_latency(of_share, meter, asked)
    assert ratio.value == pytest.approx(asked, rel=0.01)
    assert fixed + (1 - fixed) * share == pytest.approx(asked, rel=0.01)
    assert meter.asked <= 6


def test_noise_is_taken_into_account() -> None:
    _, ratio = search_latency(of_share, Formula(0.1, noise=0.02), 0.5)
    assert ratio.value == pytest.approx(0.5, rel=0.05)


def test_what_cannot_be_reached_is_said_with_the_nearest() -> None:
    with pytest.raises(MethodError, match=r'asked for 30\.0% of the dense latency, the nearest '
                       r'measured is (4|5)\d\.\d% \+- 0\.2%.*round_to'):
        search_latency(of_share, Formula(0.45), 0.3)

    def too_narrow(share: float) -> nn.Module:
        raise MethodError('the narrowest network allowed has 9 M MACs')

    with pytest.raises(MethodError, match=r'nothing could be measured .* narrowest network'):
        search_latency(too_narrow, Formula(0.0), 0.3)


def test_a_network_is_as_fast_as_itself_and_a_narrow_one_faster() -> None:
    meter = LatencyMeter(Wide(64), torch.randn(1, 3, 48, 48), threads=1, runs=40)
    same, narrow = meter.ratio(Wide(64)), meter.ratio(Wide(16))
    assert same.value == pytest.approx(1.0, abs=0.4), 'even on a busy machine'
    assert narrow.value < 0.7
    assert 0 <= same.error < 1


def test_a_level_is_cut_to_a_latency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Parameters:
        """Latency goes with the parameters of the network."""

        def __init__(self, dense: nn.Module, *_: object, **__: object) -> None:
            self.dense = self.count(dense)

        def count(self, model: nn.Module) -> int:
            return sum(parameter.numel() for parameter in model.parameters())

        def ratio(self, model: nn.Module) -> LatencyRatio:
            return LatencyRatio(self.count(model) / self.dense, 1e-6)

    monkeypatch.setattr(level_cut, 'LatencyMeter', Parameters)
    job = classifier(
        tmp_path, 'prune.levels=[{latency: 0.5}]', 'prune.round_to=1', 'train.epochs=1'
    )
    reporter = Quiet()
    (level,) = build(job, tmp_path, reporter=reporter)
    assert level.latency == pytest.approx(0.5, rel=0.01)
    assert level.params == pytest.approx(0.5 * sum(
        parameter.numel() for parameter in build(
            classifier(tmp_path, 'prune.levels=[{kept_macs: 1.0}]', 'train.epochs=1'), tmp_path
        )[0].model.parameters()
    ), rel=0.01)
    assert any('of the dense latency' in line for line in reporter.lines)
