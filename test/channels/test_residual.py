# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Residual reconstruction: branches keep their own channels, exactly, also in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from channel_networks import ChunkConcatAdd, PadShortcut, Residual
from torch.utils.flop_counter import FlopCounterMode

from uav_prune_perception.channels import ChannelGraph, compact, load_pruned, prune, verify
from uav_prune_perception.channels.recombine import Recombine, arrange

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def measured_macs(model):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(X)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize('factory', [Residual, ChunkConcatAdd, PadShortcut])
def test_branches_keep_their_own_channels(factory, tmp_path):
    torch.manual_seed(0)
    model = factory().eval()
    result = prune(model, X, ratio=0.5, residual=True)
    assert result.plan.placements
    assert result.report.max_error < 1e-9
    assert verify(model, result.model, result.plan, X) < 1e-9
    assert result.report.compact.params == sum(p.numel() for p in result.model.parameters())
    assert result.report.compact.macs == pytest.approx(measured_macs(result.model), rel=1e-3)
    result.plan.save(tmp_path, result.model)
    again = load_pruned(factory, tmp_path).eval()
    assert torch.equal(again(X), result.model(X))


def test_the_stream_carries_the_union_and_costs_less_than_coupling():
    model = Residual().eval()
    graph = ChannelGraph.trace(model, X)
    group = graph.group('stem.0')
    modules = [slot.module for slot in group.producers]
    assert modules == ['stem.0', 'a.1.0', 'b.1.0']
    own = dict(zip(modules, ([0, 1, 2, 3], [2, 3, 4, 5], [0, 3, 5, 9]), strict=True))
    union = sorted({i for kept in own.values() for i in kept})
    plan = graph.plan({'stem.0': own})
    small = compact(model, plan)
    assert graph.verify(model, small, plan) < 1e-9
    assert small.head.in_features == len(union)
    assert graph.cost({'stem.0': own}).macs < graph.cost({'stem.0': union}).macs
    ways = {path: m.index is None for path, m in small.named_modules() if isinstance(m, Recombine)}
    assert ways == {'stem.1': True, 'a.1.1': True, 'b.1.1': False}  # two contiguous, one gathered


def test_onnx_runtime_computes_the_same(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model = Residual().eval()
    small = prune(model, X, residual=True).model
    path = str(tmp_path / 'model.onnx')
    torch.onnx.export(small, (X,), path, dynamo=True, verbose=False, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    (out,) = session.run(None, {session.get_inputs()[0].name: X.numpy()})
    np.testing.assert_allclose(out, small(X).detach().numpy(), atol=1e-5)


def test_two_sets_and_nested_sets_are_always_contiguous():
    def runs(order, kept):
        places = [i for i, channel in enumerate(order) if channel in kept]
        return places[-1] - places[0] + 1 == len(places)

    pair = [{0, 2, 4, 6}, {1, 2, 3, 4}]
    order = arrange([0, 1, 2, 3, 4, 6], pair)
    assert sorted(order) == [0, 1, 2, 3, 4, 6]
    assert all(runs(order, kept) for kept in pair)
    nested = [{1, 3, 5, 7}, {3, 7}, {3, 5, 7}]
    assert all(runs(arrange([1, 3, 5, 7], nested), kept) for kept in nested)
