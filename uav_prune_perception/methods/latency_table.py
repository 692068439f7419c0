# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network of given widths needs on this machine, foreseen from one profile of it.

MACs say nothing of how fast a layer computes them: a depthwise or a first convolution may need
ten times as long for each as a wide 3x3 one. Each layer's own time in the engine, scaled by the
share of its MACs that stays, is a table that costs one profile (NetAdapt, ECCV 2018, and HALP,
NeurIPS 2022, measure every layer at many widths). Everything between the layers (activations,
concatenations) is spread over them by the size of their outputs.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.channels.width_cost import Floats
from uav_prune_perception.export.layer_times import LayerTime, layer_times
from uav_prune_perception.export.onnx_export import export_onnx


class LatencyTable:
    """Foreseen latency by widths; relative to the whole network's it is what counts.

    Args:
        model: the network that was traced.
        graph: its channels.
        example: float32 [1, C, H, W].
        threads: of the engine.

    Raises:
        ExportError: the network cannot be exported.
    """

    def __init__(
        self, model: nn.Module, graph: ChannelGraph, example: Tensor, *, threads: int = 1
    ) -> None:
        with tempfile.TemporaryDirectory(prefix='uav_prune_') as folder:
            path = export_onnx(
                model, example, Path(folder) / 'model.onnx', input_name='x', output_name='y'
            )
            measured, rest = layer_times(path, example.numpy(), threads=threads)
        self._widths = graph.width_cost()
        shapes = {
            name: tuple(weight.shape)
            for name, weight in model.named_parameters(remove_duplicate=False)
        }
        layers = self._widths.layers
        weights = [shapes.get(name, ()) for name, _ in layers]
        self.layer_ms = _matched(weights, [macs for _, macs in layers], measured)
        volumes = np.array([
            macs / math.prod(shape[1:]) if shape else 0.0
            for shape, (_, macs) in zip(weights, layers, strict=True)
        ])
        self.rest_ms = rest * volumes / max(volumes.sum(), 1.0)

    @property
    def full_ms(self) -> float:
        """Of the network as it is."""
        return float(self.layer_ms.sum() + self.rest_ms.sum())

    def ms(self, widths: ArrayLike) -> Floats:
        """Milliseconds for widths of shape [..., groups], in the order of ``graph.groups``."""
        work, outputs = self._widths.layer_shares(widths)
        total: Floats = work @ self.layer_ms + outputs @ self.rest_ms
        return total


def _matched(
    weights: list[tuple[int, ...]], macs: list[float], measured: list[LayerTime]
) -> Floats:
    """Milliseconds of every layer.

    Operators are known by the shape of their weights and the size of their output, for engines
    rename them; those that are alike in both share their time. What is not found (computed
    weights, attention) counts as the average of all for its MACs.
    """
    found: dict[tuple[tuple[int, ...], int], list[float]] = defaultdict(list)
    for layer in measured:
        found[_key(layer.weight), layer.pixels].append(layer.ms)
    per_mac = sum(layer.ms for layer in measured) / max(sum(macs), 1.0)
    times = []
    for shape, count in zip(weights, macs, strict=True):
        pixels = round(count / math.prod(shape)) if shape else 0
        same = found.get((_key(shape), pixels))
        times.append(float(np.mean(same)) if same else per_mac * count)
    return np.array(times)


def _key(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Matrices come either way round."""
    return tuple(sorted(shape)) if len(shape) == 2 else shape
