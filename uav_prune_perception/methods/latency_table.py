# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network of given widths needs on this machine, foreseen from one profile of it.

MACs say nothing of how fast a layer computes them: a depthwise or a first convolution may need
ten times as long for each as a wide 3x3 one. Each layer's own time in the engine, scaled by its
inputs that stay and by what the engine makes of its outputs' number (`export.width_curve`), is a
table that costs one profile (NetAdapt, ECCV 2018, and HALP, NeurIPS 2022, measure every layer at
many widths). What lies between the layers (activations, concatenations) goes with the outputs of
the layers of the same resolution; what has the shape of no feature map (a detector's decoding)
stays, whatever is cut.
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
from uav_prune_perception.export.layer_times import LayerTime, OtherTime, layer_times
from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.export.width_curve import WidthCurve, width_curve

Shape = tuple[int, ...]


class LatencyTable:
    """Foreseen latency by widths; relative to the whole network's it is what counts.

    Args:
        model: the network that was traced.
        graph: its channels.
        example: float32 [1, C, H, W].
        threads: of the engine.

    Attributes:
        layer_ms: of each of ``graph.width_cost().layers``, dense.
        rest_ms: of what goes with each layer's outputs, dense.
        fixed_ms: of what no cut reaches.

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
            measured, others = layer_times(path, example.numpy(), threads=threads)
        self._widths = graph.width_cost()
        shapes = {
            name: tuple(weight.shape)
            for name, weight in model.named_parameters(remove_duplicate=False)
        }
        layers = self._widths.layers
        weights = [shapes.get(name, ()) for name, _ in layers]
        macs = [count for _, count in layers]
        pixels = [
            round(count / math.prod(shape)) if shape else 0
            for shape, count in zip(weights, macs, strict=True)
        ]
        self.layer_ms = _matched(weights, pixels, macs, measured)
        self.rest_ms, self.fixed_ms = _spread(weights, pixels, others)
        self._curves = [
            (np.array(places), width_curve(kernel, threads))
            for kernel, places in _by_kernel(weights, macs, pixels).items()
        ]
        self._outputs = np.array([shape[0] if shape else 1 for shape in weights], np.float64)

    @property
    def full_ms(self) -> float:
        """Of the network as it is."""
        return float(self.layer_ms.sum() + self.rest_ms.sum()) + self.fixed_ms

    def ms(self, widths: ArrayLike) -> Floats:
        """Milliseconds for widths of shape [..., groups], in the order of ``graph.groups``."""
        work, outputs = self._widths.layer_shares(widths)
        shares = work.copy()
        for places, curve in self._curves:
            out, whole = outputs[..., places], self._outputs[places]
            shares[..., places] = _stepped(work[..., places], out, whole, curve)
        total: Floats = shares @ self.layer_ms + outputs @ self.rest_ms + self.fixed_ms
        return total


def _stepped(work: Floats, outputs: Floats, whole: Floats, curve: WidthCurve) -> Floats:
    """Share of a layer's time: its inputs in proportion, its outputs as the engine steps."""
    inputs = np.divide(work, outputs, out=np.zeros_like(work), where=outputs > 0)
    result: Floats = inputs * curve(outputs * whole) / curve(whole)
    return result


def _by_kernel(
    weights: list[Shape], macs: list[float], pixels: list[int]
) -> dict[int, list[int]]:
    """Places of the plain convolutions by kernel (1 or 3); depthwise ones know no steps."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, shape in enumerate(weights):
        if len(shape) == 4 and shape[1] > 1 and macs[place] and pixels[place]:
            places[1 if max(shape[2:]) == 1 else 3].append(place)
    return places


def _matched(
    weights: list[Shape], pixels: list[int], macs: list[float], measured: list[LayerTime]
) -> Floats:
    """Milliseconds of every layer.

    Operators are known by the shape of their weights and the size of their output, for engines
    rename them; those that are alike in both share their time. Where a convolution was exported in
    parts, layers that differ in their outputs alone share what the parts took, by their MACs. What
    is not found at all (computed weights, attention) counts as the average for its MACs.
    """
    found: dict[tuple[Shape, int], list[float]] = defaultdict(list)
    for layer in measured:
        found[_key(layer.weight), layer.pixels].append(layer.ms)
    keys = [(_key(shape), count) for shape, count in zip(weights, pixels, strict=True)]
    left: dict[tuple[Shape, int], float] = defaultdict(float)
    for (shape, count), values in found.items():
        if (shape, count) not in keys:
            left[shape[1:], count] += sum(values)
    sharing: dict[tuple[Shape, int], float] = defaultdict(float)
    for (shape, count), work in zip(keys, macs, strict=True):
        if (shape, count) not in found:
            sharing[shape[1:], count] += work
    per_mac = sum(layer.ms for layer in measured) / max(sum(macs), 1.0)
    times = []
    for key, work in zip(keys, macs, strict=True):
        like = (key[0][1:], key[1])
        if key in found:
            times.append(float(np.mean(found[key])))
        elif len(key[0]) == 4 and like in left:
            times.append(left[like] * work / max(sharing[like], 1.0))
        else:
            times.append(per_mac * work)
    return np.array(times)


def _spread(
    weights: list[Shape], pixels: list[int], others: list[OtherTime]
) -> tuple[Floats, float]:
    """What goes with each layer's outputs, and what goes with none."""
    volumes = np.array([
        shape[0] * count if len(shape) == 4 else 0.0
        for shape, count in zip(weights, pixels, strict=True)
    ])
    places = np.array(pixels)
    rest, fixed = np.zeros(len(weights)), 0.0
    for other in others:
        here = np.where(places == math.prod(other.output[2:]), volumes, 0.0)
        if len(other.output) == 4 and here.any():
            rest += other.ms * here / here.sum()
        else:
            fixed += other.ms
    return rest, fixed


def _key(shape: Shape) -> Shape:
    """Matrices come either way round."""
    return tuple(sorted(shape)) if len(shape) == 2 else shape
