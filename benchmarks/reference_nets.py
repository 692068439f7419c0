# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks that the engine benchmarks time: dense, and cut to a share of their MACs.

Weights are untrained: they decide which channels go, not what the result costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from uav_prune_perception.channels import ChannelGraph, compact, magnitude
from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.networks.registry import build_network

INPUT, OUTPUT = 'images', 'predictions'
NEAR = 0.15  # of the wanted share of MACs; the share that is reached is what counts


@dataclass(frozen=True)
class Reference:
    """One network: registry name, options, size of its picture [1, 3, height, width]."""

    network: str
    options: dict[str, object]
    size: tuple[int, int]


REFERENCES = {
    'aerial detector 320x256': Reference('aerial_detector', {}, (256, 320)),
    'YOLOv5n 256x192': Reference('yolov5', {'size': 'n'}, (192, 256)),
    'YOLO n 320x320': Reference('yolo', {'size': 'n'}, (320, 320)),
    'SSD300, width 0.25': Reference('ssd300', {'norm': True, 'width': 0.25}, (300, 300)),
    'ResNet-18 224x224': Reference('resnet18', {'small_stem': False}, (224, 224)),
    'ResNet-20 32x32': Reference('resnet_cifar', {'depth': 20}, (32, 32)),
    'VGG-16 32x32': Reference('vgg_bn', {'depth': 16}, (32, 32)),
}


@dataclass(frozen=True)
class Net:
    """A network to time, and the share of the dense one's MACs that it has."""

    model: nn.Module
    kept_macs: float
    onnx: Path


def dense_network(reference: Reference) -> tuple[nn.Module, torch.Tensor]:
    """The network, always the same, and a picture for it."""
    torch.manual_seed(0)
    model = build_network(reference.network, classes=4, **reference.options).eval()
    return model, torch.rand(1, 3, *reference.size)


def cut_network(
    model: nn.Module, picture: torch.Tensor, kept_macs: float, round_to: int
) -> tuple[nn.Module, float] | None:
    """The network with the same share of every layer gone; None where such widths do not exist."""
    graph = ChannelGraph.trace(model, picture)
    scores, dense = magnitude(model, graph.groups, 'l1'), graph.cost().macs

    def kept(share: float) -> float:
        return graph.cost(graph.choose(scores, share, round_to=round_to)).macs / dense

    low, high = 0.02, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) < kept_macs else (low, middle)
    share = min((low, high), key=lambda value: abs(kept(value) - kept_macs))
    if abs(kept(share) - kept_macs) > NEAR * kept_macs:
        return None
    chosen = graph.choose(scores, share, round_to=round_to)
    return compact(model, graph.plan(chosen)).eval(), kept(share)


def reference_nets(
    reference: Reference, kept: tuple[float, ...], round_to: tuple[int, ...], folder: Path
) -> dict[str, Net]:
    """Dense and cut networks with their ONNX files, by a title such as '50 % by 16'."""
    model, picture = dense_network(reference)
    nets = {'dense': Net(model, 1.0, _written(model, picture, folder / 'dense.onnx'))}
    for share in kept:
        for step in round_to:
            cut = cut_network(model, picture, share, step)
            if cut is not None:
                path = folder / f'{share}_{step}.onnx'
                title = f'{share:.0%} by {step}'
                nets[title] = Net(cut[0], cut[1], _written(cut[0], picture, path))
    return nets


def _written(model: nn.Module, picture: torch.Tensor, path: Path) -> Path:
    return export_onnx(model, picture, path, input_name=INPUT, output_name=OUTPUT)
