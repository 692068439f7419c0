# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written for the engine's sake computes the same, and only what is safe is rewritten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.export.verification import verify_onnx

PICTURE = torch.zeros(1, 3, 16, 24)


class Halves(nn.Module):
    """YOLOv8's C2f in small: a convolution, its activation, both halves read."""

    def __init__(self, half: int = 8, *, split: bool = False, whole_too: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.half, self.split, self.whole_too = half, split, whole_too
        self.first = nn.Conv2d(3, 2 * half, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * half)
        self.inner = nn.Conv2d(half, half, 3, padding=1)
        self.last = nn.Conv2d(3 * half, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.silu(self.norm(self.first(x)))
        a, b = y.split(self.half, 1) if self.split else y.chunk(2, 1)
        z = self.last(torch.cat([a, b, self.inner(b)], 1))
        return z + y.mean(1, keepdim=True) if self.whole_too else z


class Bins(nn.Module):
    """Softmax over an axis of a size; the logits are large, so that exponentials overflow."""

    def __init__(self, axis: int, bins: int = 16) -> None:
        super().__init__()
        self.axis, self.bins = axis, bins
        self.conv = nn.Conv2d(3, bins * 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = 500 * self.conv(x).flatten(2).unflatten(1, (self.bins, 2))
        return y.softmax(self.axis).flatten(1, 2)


def written(model: nn.Module, path: Path, opset: int = 17) -> Counter[str]:
    """Operators of the file, which is proven to compute what the network computes."""
    export_onnx(model.eval(), PICTURE, path, input_name='x', output_name='y', opset=opset)
    random = np.random.default_rng(0)
    pictures = [random.random(PICTURE.shape, dtype=np.float32) for _ in range(2)]
    verify_onnx(model, path, pictures, tolerance=1e-4)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize('split', [False, True])
def test_halves_get_convolutions_of_their_own(tmp_path: Path, split: bool) -> None:
    operators = written(Halves(split=split), tmp_path / 'm.onnx')
    assert operators['Conv'] == 4
    assert operators['Sigmoid'] == 2
    assert not operators.keys() & {'Split', 'Slice', 'Shape', 'Gather'}
    names = [item.name for item in onnx.load(tmp_path / 'm.onnx').graph.initializer]
    assert len(names) == len(set(names))
    shapes = [tuple(i.dims) for i in onnx.load(tmp_path / 'm.onnx').graph.initializer]
    assert (16, 3, 3, 3) not in shapes, 'the weights of the whole are not kept beside the parts'


def test_halves_that_would_leave_the_blocked_layout_stay(tmp_path: Path) -> None:
    assert written(Halves(12), tmp_path / 'm.onnx')['Conv'] == 3


def test_an_output_that_is_read_whole_too_is_not_computed_twice(tmp_path: Path) -> None:
    assert written(Halves(whole_too=True), tmp_path / 'm.onnx')['Conv'] == 3


def test_a_short_softmax_is_spelled_out(tmp_path: Path) -> None:
    operators = written(Bins(1), tmp_path / 'm.onnx')
    assert not operators['Softmax']
    assert operators['Exp'] == 1


def test_the_newer_exporters_words_are_understood(tmp_path: Path) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.halves, self.bins = Halves(), Bins(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.halves(self.bins(x).unflatten(2, (16, 24))[:, :3])

    operators = written(Both(), tmp_path / 'm.onnx', opset=18)
    assert operators['Conv'] == 5
    assert not operators['Softmax']


def test_softmax_over_the_last_or_a_long_axis_stays(tmp_path: Path) -> None:
    assert written(Bins(-1), tmp_path / 'last.onnx')['Softmax'] == 1
    assert written(Bins(1, 80), tmp_path / 'long.onnx')['Softmax'] == 1
