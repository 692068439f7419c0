# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The fast formula of widths says what the cost model says for masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from channel_networks import CASES, Case

from uav_prune_perception.channels import ChannelGraph


@pytest.mark.parametrize('case', CASES[::2], ids=lambda case: case.factory.__name__)
def test_widths_cost_what_masks_cost(case: Case) -> None:
    torch.manual_seed(0)
    graph = ChannelGraph.trace(case.factory().eval(), case.example(), trial=False)
    formula = graph.width_cost()
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        widths = [
            int(torch.randint(1, group.width + 1, (), generator=generator))
            for group in graph.groups
        ]
        keep = {
            group.name: torch.randperm(group.width, generator=generator)[:width]
            for group, width in zip(graph.groups, widths, strict=True)
        }
        exact = graph.cost(keep)
        assert formula.cost('macs', widths) == pytest.approx(exact.macs, rel=1e-9)
        assert formula.cost('params', widths) == pytest.approx(exact.params, rel=1e-9)


def test_many_at_once_and_what_one_choice_saves() -> None:
    graph = ChannelGraph.trace(CASES[0].factory().eval(), CASES[0].example(), trial=False)
    formula = graph.width_cost()
    full = formula.full
    saved = formula.marginal('macs', full)
    one_less = full.copy()
    one_less[0] -= 1
    several = formula.cost('macs', np.stack([full, one_less]))
    assert several[0] - several[1] == pytest.approx(saved[0])
    assert saved.shape == full.shape
