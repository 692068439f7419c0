# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every structure: cut, exact, cheaper, as cheap as computed, reloadable."""

from __future__ import annotations

import copy

import pytest
import torch
from channel_networks import CASES, Case
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from uav_prune_perception.channels import ChannelGraph, load_pruned, prune


@pytest.fixture(autouse=True)
def _one_thread_and_seed():
    torch.manual_seed(0)


def measured_macs(model: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*example)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.factory.__name__)
def test_structure_is_cut_exactly(case: Case, tmp_path):
    model = case.factory().eval()
    before = copy.deepcopy(model.state_dict())
    example = case.example()
    result = prune(model, example, ratio=0.5)
    report = result.report
    assert report.max_error < 1e-9
    assert report.compact.macs <= case.left * report.dense.macs
    assert type(result.model) is case.factory
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())

    parameters = sum(p.numel() for p in result.model.parameters())
    assert report.compact.params == parameters
    plain = result.graph.plain(model)  # the model itself, unless it computes weights
    assert report.dense.params == sum(p.numel() for p in plain.parameters())
    for cost, network in ((report.dense, model), (report.compact, result.model)):
        assert cost.macs == pytest.approx(measured_macs(network, example), rel=1e-3)

    result.plan.save(tmp_path, result.model)
    again = load_pruned(case.factory, tmp_path).eval()
    with torch.no_grad():
        outputs = pytree.tree_leaves((again(*example), result.model(*example)))
    half = len(outputs) // 2
    assert all(torch.equal(a, b) for a, b in zip(outputs[:half], outputs[half:], strict=True))


def test_each_half_of_a_chunk_keeps_whole_blocks():
    class Halves(torch.nn.Module):
        def __init__(self, half: int) -> None:
            super().__init__()
            self.enter = torch.nn.Conv2d(3, 2 * half, 3)
            self.after = torch.nn.Conv2d(half, 8, 1)

        def forward(self, x):
            a, b = self.enter(x).chunk(2, 1)
            return self.after(a * b)

    for half, step in ((32, 8), (8, 4)):  # halves of 8 in blocks of 8 could not be cut at all
        graph = ChannelGraph.trace(Halves(half).eval(), torch.rand(1, 3, 8, 8))
        (group,) = [group for group in graph.groups if group.name == 'enter']
        assert (group.width, group.tied) == (half, 2)
        assert group.step(8) == step
        assert group.step(1) == 1
