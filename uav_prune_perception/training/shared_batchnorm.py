# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""BatchNorm over the pictures of all processes, on CPUs too (torch's own is for GPUs only)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SummedOverRanks(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Any) -> Tensor:
        """A new tensor, the same in every process."""
        ctx.group = group
        total = value.contiguous().clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """What every process wants of the sum, it wants of this process's part."""
        total = grads[0].contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


class SharedBatchNorm(_BatchNorm):
    """A BatchNorm while it learns in several processes with batches of one size."""

    process_group: Any

    def _check_input_dim(self, input: Tensor) -> None:
        return

    def forward(self, input: Tensor) -> Tensor:
        """As in one process with all the pictures; in evaluation mode as always."""
        if not self.training:
            return super().forward(input)
        group = self.process_group
        dims = [dim for dim in range(input.ndim) if dim != 1]
        shape = [-1 if dim == 1 else 1 for dim in range(input.ndim)]
        count = input.numel() // input.shape[1] * dist.get_world_size(group)
        values = input.float()
        mean = SummedOverRanks.apply(values.sum(dims), group) / count
        # Two passes: the mean of squares less the square of the mean is not exact enough
        apart = values - mean.view(shape)
        var = SummedOverRanks.apply(apart.square().sum(dims), group) / count
        self._remember(mean.detach(), var.detach() * (count / max(1, count - 1)))
        result = apart * (var + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        part = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), part)
        self.running_var.lerp_(var.to(self.running_var), part)


@contextlib.contextmanager
def shared_batchnorm(model: nn.Module, group: Any) -> Iterator[None]:
    """Every BatchNorm of ``model`` sees the pictures of all processes until the end.

    The modules stay the same objects, with their names, parameters and hooks. Subclasses of
    somebody else's, which compute in their own way, go on seeing only their own process.

    Args:
        model: on its device.
        group: of processes.
    """
    changed = [
        (module, type(module)) for module in model.modules()
        if type(module) in PLAIN
    ]
    try:
        for module, _ in changed:
            place = next(iter(module.state_dict().values()), torch.empty(0)).device
            module.__class__ = nn.SyncBatchNorm if place.type == 'cuda' else SharedBatchNorm
            module.process_group = group
        yield
    finally:
        for module, kind in changed:
            module.__class__ = kind
            vars(module).pop('process_group', None)
