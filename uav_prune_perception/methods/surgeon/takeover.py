# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights with which the readers of a cut group go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from uav_prune_perception.channels import ChannelGraph
from uav_prune_perception.methods.interfaces import Keep, LevelContext
from uav_prune_perception.training.task import LearningTask

from .elimination import taken_over
from .readings import Reading, collect_readings

BATCHES, BATCH_SIZE = 16, 64


@dataclass(frozen=True)
class Surgeon:
    """Readings of one network, and what can be done with them.

    Attributes:
        weights: the readers' weights as they are, by name.
        readings: by group name.
        indices: input channels of each reading in its weight, by group name.
    """

    weights: Mapping[str, Tensor]
    readings: Mapping[str, Sequence[Reading]]
    indices: Mapping[str, Sequence[Tensor]]

    @classmethod
    def of(cls, context: LevelContext) -> Surgeon:
        """Of the network that a level is cut from, by pictures of the train split."""
        return cls.look(context.model, context.graph, calibration(context.task))

    @classmethod
    def look(cls, model: nn.Module, graph: ChannelGraph, batches: Sequence[Tensor]) -> Surgeon:
        """Of any network and normalised pictures."""
        readings = collect_readings(model, graph, batches)
        named = dict(model.named_parameters(remove_duplicate=False))
        weights = {
            one.slot.parameter: named[one.slot.parameter].detach().clone()
            for ones in readings.values() for one in ones
        }
        indices = {
            group.name: [group.members[one.slot].flatten() for one in readings[group.name]]
            for group in graph.groups
        }
        return cls(weights, readings, indices)

    def taken_over(self, keep: Keep) -> dict[str, Tensor]:
        """New weights of all readers that lose channels, in the dense shape.

        Branches with channels of their own (residual reconstruction) are left as they are.
        """
        changed: dict[str, Tensor] = {}
        for name, readings in self.readings.items():
            mask = keep.get(name)
            if not isinstance(mask, Tensor) or bool(mask.all()):
                continue
            for reading, index in zip(readings, self.indices[name], strict=True):
                parameter = reading.slot.parameter
                old = changed.get(parameter, self.weights[parameter])
                changed[parameter] = _columns_replaced(old, index, taken_over(reading, mask))
        return changed


def calibration(task: LearningTask) -> list[Tensor]:
    """Pictures of the train split that moments are measured on, none of them twice."""
    pictures = min(BATCHES * BATCH_SIZE, task.steps_per_epoch(1))
    size = min(BATCH_SIZE, pictures)
    return list(task.calibration_batches(pictures // size, size))


def _columns_replaced(weight: Tensor, index: Tensor, columns: Tensor) -> Tensor:
    """``weight`` [outputs, inputs, taps...] with input channels ``index`` from [rows, n]."""
    last = weight.movedim(1, -1).clone()
    rows = last.reshape(-1, last.shape[-1])
    rows[:, index] = columns.to(rows)
    return rows.reshape(last.shape).movedim(-1, 1).contiguous()
