# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""First-order Taylor importance on data (Molchanov et al., CVPR 2019).

What the loss would change, to first order, if a channel went: ``I = E[(sum_s g_s w_s)^2]`` over
the parameters s that scale the channel (their equation 8, with gates at BatchNorm). For a channel
with BatchNorm these are its scale and shift; its convolution's weights say nothing there, for the
loss does not depend on their scale. Without BatchNorm they are the filter and its bias.
Raw values are compared between layers, which is the point of the criterion.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uav_prune_perception.channels import Group

from .interfaces import LevelContext, Method, MethodError, Scores
from .recipe import Section


class TaylorOptions(Section):
    """How much data is looked at."""

    batches: int = Field(default=16, ge=1)
    batch_size: int = Field(default=32, ge=1)


class TaylorImportance:
    """`ImportanceScore`; needs labelled training pictures."""

    def __init__(self, options: TaylorOptions) -> None:
        self.options = options

    def score(self, context: LevelContext) -> Scores:
        """Mean over batches of the squared first-order change of the loss."""
        model = copy.deepcopy(context.model).to(context.device).train()
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        gates = {group.name: _gates(model, group) for group in context.graph.groups}
        totals = {group.name: torch.zeros(group.width) for group in context.graph.groups}
        with torch.random.fork_rng():
            torch.manual_seed(context.seed)
            for images, targets in self._batches(context):
                model.zero_grad(set_to_none=True)
                context.task.loss(model, images, targets).backward()
                for name, parts in gates.items():
                    change = sum(_change(tensor, dim, members) for tensor, dim, members in parts)
                    totals[name] += torch.as_tensor(change).square().cpu()
        if not all(bool(total.isfinite().all()) for total in totals.values()):
            raise MethodError('taylor: a gradient is not finite; is the network trained?')
        return totals

    def _batches(self, context: LevelContext) -> Iterator[tuple[Tensor, Any]]:
        generator = torch.Generator().manual_seed(context.seed)
        left, epoch = self.options.batches, 0
        while left > 0:
            for images, targets in context.task.train_batches(
                epoch, self.options.batch_size, generator
            ):
                to_device = isinstance(targets, Tensor)
                yield (
                    images.to(context.device),
                    targets.to(context.device) if to_device else targets,
                )
                left -= 1
                if left == 0:
                    return
            epoch += 1


def taylor(options: TaylorOptions) -> Method:
    """First-order Taylor pruning."""
    return Method(score=TaylorImportance(options))


def _gates(model: nn.Module, group: Group) -> list[tuple[nn.Parameter, int, Tensor]]:
    """The parameters that scale a group's channels, with the rows of each choice."""
    named = dict(model.named_parameters(remove_duplicate=False))
    norms = [
        (named[slot.parameter], slot.dim, group.members[slot])
        for slot in group.norms
        if slot.parameter in named and named[slot.parameter].dim() == 1
        and isinstance(model.get_submodule(slot.module), _BatchNorm)
    ]
    return norms or [
        (named[slot.parameter], slot.dim, group.members[slot])
        for slot in [*group.producers, *group.norms]
        if slot.parameter in named
    ]


def _change(tensor: nn.Parameter, dim: int, members: Tensor) -> Tensor:
    """``sum g w`` of each choice: [width]."""
    if tensor.grad is None:
        return torch.zeros(len(members), device=tensor.device)
    product = (tensor.detach() * tensor.grad).movedim(dim, 0)
    product = product.reshape(len(product), -1).sum(dim=1)
    return product[members.to(product.device)].sum(dim=1)
