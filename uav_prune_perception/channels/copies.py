# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies of a network in which chosen tensors are replaced or shared rather than copied.

Proving a cut takes several copies (in double precision, with random vectors, compact). A plain
deep copy of each would hold the weights of a large network many times over.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MethodType

import torch
from torch import Tensor, nn

from .errors import ChannelError, first_line
from .model_tensors import Forward, named_tensors, unwrap


def copy_with(model: nn.Module, replaced: Mapping[int, Tensor]) -> nn.Module:
    """A deep copy that has ``replaced[id(tensor)]`` wherever ``model`` has ``tensor``.

    Shared weights stay shared: every holder of a tensor gets the same replacement.

    Raises:
        ChannelError: the network holds something that cannot be copied.
    """
    try:
        return copy.deepcopy(model, dict(replaced))
    except RuntimeError as error:
        raise ChannelError(
            f'{type(model).__name__} cannot be copied ({first_line(error)}); '
            'give a model that has not been run with gradients, or detach what it caches'
        ) from error


def like(original: Tensor, values: Tensor, *, requires_grad: bool | None = None) -> Tensor:
    """``values`` as what ``original`` is: a parameter, or a plain tensor."""
    if not isinstance(original, nn.Parameter):
        return values
    needs = original.requires_grad if requires_grad is None else requires_grad
    return nn.Parameter(values, requires_grad=needs)


def private_copy(
    model: nn.Module, dtype: torch.dtype, forward: Forward | None = None
) -> nn.Module:
    """A copy in evaluation mode, on the CPU, with floats as ``dtype``; it shares nothing.

    ``forward`` takes the place of the module's own: the part of it that can be traced.
    """
    model = unwrap(model)
    replaced = {
        id(tensor): like(tensor, _cast(tensor.detach(), dtype), requires_grad=False)
        for tensor in named_tensors(model).values()
    }
    # `to` finds nothing left to do, except in modules that have their own ideas about it.
    private = copy_with(model, replaced).cpu().to(dtype).eval()
    if forward is not None:
        # A bound method is copied together with the module it is bound to.
        private.forward = MethodType(forward, private)
    return private


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    target = dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.to('cpu', target, copy=True)


def shaken(model: nn.Module, seed: int) -> nn.Module:
    """A copy whose every parameter matters; matrices are shared with ``model``.

    Fresh networks hide mistakes: BatchNorm is the identity, zero-initialised branches and layer
    scales of 1e-6 add nothing. Vectors become random; all-zero weights too.
    """
    generator = torch.Generator().manual_seed(seed)
    replaced: dict[int, Tensor] = {}
    for name, parameter in model.named_parameters():
        shape, dtype = parameter.shape, parameter.dtype
        values = parameter.detach()
        if sum(size > 1 for size in shape) <= 1:
            noise = torch.rand(shape, generator=generator, dtype=dtype)
            values = noise + (0.5 if name.endswith('weight') else -0.5)
        elif not bool(values.any()):
            noise = torch.randn(shape, generator=generator, dtype=dtype)
            values = noise / parameter[0].numel() ** 0.5
        replaced[id(parameter)] = like(parameter, values)
    for name, buffer in model.named_buffers():
        if name.endswith(('running_mean', 'running_var')):
            noise = torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
            replaced[id(buffer)] = noise + (0.5 if name.endswith('var') else -0.5)
    return copy_with(model, replaced)


def shape_only_copy(model: nn.Module) -> nn.Module:
    """A copy that shares every tensor: for runs that look at shapes alone."""
    return copy_with(model, {id(tensor): tensor for tensor in named_tensors(model).values()})
