# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from channel_networks import Plain, Residual

from uav_prune_perception.channels import ChannelError, load_pruned, prune


@pytest.mark.parametrize('factory', [Plain, Residual])
def test_prune_halves_widths_and_reloads_without_pickle(factory, tmp_path):
    model = factory().eval()
    x = torch.randn(2, 3, 16, 16)
    result = prune(model, x, ratio=0.5)
    assert result.report.max_error < 1e-9
    assert result.report.compact.macs < 0.5 * result.report.dense.macs
    assert type(result.model) is factory
    result.plan.save(tmp_path, result.model)
    again = load_pruned(factory, tmp_path).eval()
    assert torch.equal(again(x), result.model(x))


def test_prune_refuses_a_ratio_that_leaves_nothing():
    with pytest.raises(ChannelError, match='ratio'):
        prune(Plain(), torch.randn(1, 3, 16, 16), ratio=1.0)
