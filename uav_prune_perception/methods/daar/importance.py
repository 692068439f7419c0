# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR's importance: spatial attention scores shallow layers, channel attention deep ones."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from uav_prune_perception.channels.exported import named_tensors
from uav_prune_perception.methods.feature_maps import Tap, find_norms, find_taps, watching
from uav_prune_perception.methods.interfaces import LevelContext, Scores
from uav_prune_perception.methods.l1 import layer_norms

from .attention_scores import ChannelScore, SpatialScore, per_mean, pooled
from .channel_probe import ChannelProbe

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph
    from uav_prune_perception.training.task import LearningTask

# HIT-UAV, YOLOv5n's shape, 50 % of the MACs, val: 2.7 % of mAP50 at 1/2, 7.8 at 1/8.
BOUNDARY = {'classification': 0.5, 'detection': 0.125}


@dataclass(frozen=True)
class AttentionOptions:
    """How channels are scored.

    Attributes:
        attention: 'dual' (spatial in shallow, channel in deep layers), 'spatial' or 'channel'
            everywhere, or 'swapped': the ablations.
        boundary: a layer is shallow while its output has at least this share of the picture's
            width; with ``boundary_by: depth``, while it is among the first share of layers. None:
            1/2, and 1/8 for detectors, whose stem alone is 1/2 (`BOUNDARY`).
        boundary_by: 'resolution' or 'depth'.
        channel_by: 'probe' (squeeze-and-excitation, trained briefly) or 'free' (no training).
        batches: batches of training pictures that are looked at.
        batch_size: pictures in a batch.
        probe_epochs: training of the probe; may be a fraction.
        probe_batch_size: likewise.
        probe_lr: likewise.
        reduction: of the probe.
        strength_power: rho of the spatial score.
    """

    attention: Literal['dual', 'spatial', 'channel', 'swapped'] = 'dual'
    boundary: float | None = None
    boundary_by: Literal['resolution', 'depth'] = 'resolution'
    channel_by: Literal['probe', 'free'] = 'probe'
    batches: int = 5
    batch_size: int = 128
    probe_epochs: float = 5.0
    probe_batch_size: int = 64
    probe_lr: float = 0.01
    reduction: int = 16
    strength_power: float = 0.5


class DualAttention:
    """`ImportanceScore`."""

    def __init__(self, options: AttentionOptions | None = None) -> None:
        self.options = options or AttentionOptions()

    def score(self, context: LevelContext) -> Scores:
        """Sum over a group's producers of their channel scores, each with mean 1 in its layer."""
        model, graph = context.model, context.graph
        layers = self.layer_scores(
            model, graph, context.task, seed=context.seed, device=context.device
        )
        tensors = named_tensors(model)
        scores: dict[str, Tensor] = {}
        for group in graph.groups:
            members = []
            for slot in group.producers:
                values = layers.get(slot.parameter)
                if values is None:  # no module shows these channels: their filters must speak
                    values = layer_norms(tensors[slot.parameter], slot.dim)
                members.append(values[group.members[slot]].mean(dim=1))
            scores[group.name] = torch.stack(members).sum(dim=0)
        return scores

    def layer_scores(
        self,
        model: nn.Module,
        graph: ChannelGraph,
        task: LearningTask,
        *,
        seed: int = 0,
        device: str = 'cpu',
    ) -> dict[str, Tensor]:
        """Producer's weight -> float64 [C], mean 1, for every producer that a module shows."""
        taps, example = find_taps(graph), task.example_input().to(device)
        model = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        shapes = _shapes(model, taps, example)
        spatial = self._spatial_layers(shapes, int(example.shape[3]), self._boundary(task))
        deep = [weight for weight in shapes if weight not in spatial]
        gates = self._probe(model, task, ([taps[w] for w in deep], shapes), seed)
        seen: dict[str, SpatialScore | ChannelScore] = {
            weight: SpatialScore(self.options.strength_power) if weight in spatial
            else ChannelScore()
            for weight in shapes
        }

        def see(tap: Tap, features: Tensor) -> None:
            score = seen[tap.weight]
            if isinstance(score, SpatialScore):
                score.see(features)
            elif gates is not None:
                score.see(gates.gates[tap.weight](features))
            else:
                score.see(pooled(features))

        with torch.no_grad(), watching(model, [taps[weight] for weight in shapes], see):
            for images in task.calibration_batches(self.options.batches, self.options.batch_size):
                model(images.to(device))
        results = {weight: score.result() for weight, score in seen.items()}
        if gates is not None:
            tensors, norms = named_tensors(model), find_norms(graph)
            for weight in deep:
                if weight in norms:
                    scale = tensors[norms[weight][0]].abs().double().cpu()
                    results[weight] = per_mean(results[weight] * scale)
        return results

    def _boundary(self, task: LearningTask) -> float:
        options = self.options
        if options.boundary is not None:
            return options.boundary
        by_resolution = options.boundary_by == 'resolution'
        return BOUNDARY[task.kind] if by_resolution else 0.5

    def _spatial_layers(
        self, shapes: dict[str, tuple[int, ...]], width: int, boundary: float
    ) -> set[str]:
        """Weights of the layers that spatial attention scores."""
        options = self.options
        maps = [weight for weight, shape in shapes.items() if len(shape) > 2]
        if options.attention == 'spatial':
            return set(maps)
        if options.attention == 'channel':
            return set()
        if options.boundary_by == 'depth':
            shallow = set(list(shapes)[:round(boundary * len(shapes))])
        else:
            shallow = {w for w in maps if shapes[w][-1] >= boundary * width}
        swapped = options.attention == 'swapped'
        return {weight for weight in maps if (weight in shallow) != swapped}

    def _probe(
        self,
        model: nn.Module,
        task: LearningTask,
        layers: tuple[list[Tap], dict[str, tuple[int, ...]]],
        seed: int,
    ) -> ChannelProbe | None:
        options, (taps, shapes) = self.options, layers
        if options.channel_by == 'free' or not taps or options.probe_epochs == 0:
            return None
        widths = {tap.weight: shapes[tap.weight][1] for tap in taps}
        probe = ChannelProbe(model, taps, widths, options.reduction, seed=seed)
        probe.train(task, options.probe_epochs, options.probe_batch_size, options.probe_lr)
        return probe


def _shapes(
    model: nn.Module, taps: dict[str, Tap], example: Tensor
) -> dict[str, tuple[int, ...]]:
    """Weight -> shape of its feature map for one picture, in the order of running."""
    shapes: dict[str, tuple[int, ...]] = {}

    def see(tap: Tap, features: Tensor) -> None:
        shapes.setdefault(tap.weight, tuple(features.shape))

    with torch.no_grad(), watching(model, taps.values(), see):
        model(example)
    return shapes
