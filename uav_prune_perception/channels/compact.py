# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Physical removal: slice parameters in place, so the user keeps their own module class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .baked import bake, with_plain_layers
from .copies import copy_with, like
from .errors import ChannelError
from .model_tensors import named_tensors, unwrap
from .plan import Cut, PruningPlan
from .recombine import Recombine
from .widen import Widened

Owner = tuple[nn.Module, str]
"""A module and the name under which it holds a tensor."""


def compact(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """A smaller copy of ``model``, of the same class, without what ``plan`` cuts.

    Mode, device, precision and ``requires_grad`` stay as they are; gradients are dropped. Works on
    any copy with the same parameter names: an EMA copy, a checkpoint loaded elsewhere.

    Raises:
        ChannelError: the plan is of another network.
    """
    return cut_copy(with_plain_layers(unwrap(model), plan.baked), plan)


def cut_copy(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """As `compact`, of a network whose computed weights are baked already."""
    smaller = _sliced_tensors(model, plan)
    named = named_tensors(model)
    small = copy_with(model, {id(named[name]): tensor for name, tensor in smaller.items()})
    _adjust(small, plan, {id(tensor) for tensor in smaller.values()})
    return small


def compact_in_place(model: nn.Module, plan: PruningPlan) -> None:
    """Cut ``model`` itself."""
    bake(model, plan.baked)
    smaller = _sliced_tensors(model, plan)
    named = named_tensors(model)
    owners = _owners(model)
    for name, tensor in smaller.items():
        for module, attribute in owners[id(named[name])]:
            table = module._parameters if attribute in module._parameters else module._buffers
            table[attribute] = tensor  # type: ignore[assignment]
    _adjust(model, plan, {id(tensor) for tensor in smaller.values()})


def _sliced_tensors(model: nn.Module, plan: PruningPlan) -> dict[str, Tensor]:
    """Name -> what stays of each tensor that the plan cuts."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for path in (*plan.attributes, *plan.placements, *plan.wide):
        if path not in modules:
            raise ChannelError(f'the plan changes "{path}", which is no module here')
    by_parameter: dict[str, list[Cut]] = defaultdict(list)
    for cut in plan.cuts:
        by_parameter[cut.parameter].append(cut)
    named = named_tensors(model)
    return {name: _sliced(name, named.get(name), cuts) for name, cuts in by_parameter.items()}


def _sliced(name: str, tensor: Tensor | None, cuts: Iterable[Cut]) -> Tensor:
    if tensor is None:
        raise ChannelError(f'the plan cuts "{name}", which this network does not have')
    small = tensor.detach()
    for cut in cuts:
        if cut.dim >= small.dim() or small.shape[cut.dim] != cut.size:
            raise ChannelError(
                f'{name}: the plan expects size {cut.size} in dimension {cut.dim}, '
                f'the network has shape {tuple(tensor.shape)}'
            )
        small = small.index_select(cut.dim, torch.tensor(cut.kept, device=small.device))
    return like(tensor, small)


def _adjust(model: nn.Module, plan: PruningPlan, cut: set[int]) -> None:
    """Make a network's numbers and modules fit its tensors, of which those in ``cut`` are new."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for path, values in plan.attributes.items():
        for attribute, value in values.items():
            before = getattr(modules[path], attribute, None)
            setattr(modules[path], attribute, tuple(value) if type(before) is tuple else value)
    for module in modules.values():
        held = (*module._parameters.values(), *module._buffers.values())
        if any(id(tensor) in cut for tensor in held):
            set_widths(module)
    for path, placement in plan.placements.items():
        parent, _, name = path.rpartition('.')
        setattr(modules[parent], name, Recombine(modules[path], placement))
    for path, widening in plan.wide.items():
        parent, _, name = path.rpartition('.')
        setattr(modules[parent], name, Widened(modules[path], widening))


def _owners(model: nn.Module) -> dict[int, list[Owner]]:
    """Everybody who holds a tensor: shared weights stay shared."""
    owners: dict[int, list[Owner]] = defaultdict(list)
    for module in model.modules():
        for table in (module._parameters, module._buffers):
            for attribute, tensor in table.items():
                if tensor is not None:
                    owners[id(tensor)].append((module, attribute))
    return owners


def set_widths(module: nn.Module) -> None:
    """Make a layer's own numbers (``in_channels``, ``num_features``, ...) fit its tensors."""
    weight = getattr(module, 'weight', None)
    if not isinstance(weight, Tensor):
        weight = getattr(module, 'running_mean', None)
    if not isinstance(weight, Tensor):
        return
    shape = weight.shape
    values: dict[str, object] = {}
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        values = {'in_channels': shape[0], 'out_channels': shape[1] * module.groups}
    elif isinstance(module, nn.modules.conv._ConvNd):
        values = {'out_channels': shape[0], 'in_channels': shape[1] * module.groups}
    elif isinstance(module, nn.Linear):
        values = {'out_features': shape[0], 'in_features': shape[1]}
    elif isinstance(module, nn.Embedding):
        values = {'embedding_dim': shape[1]}
    elif isinstance(module, nn.GroupNorm):
        values = {'num_channels': shape[0]}
    elif isinstance(module, nn.LayerNorm):
        values = {'normalized_shape': tuple(shape)}
    elif isinstance(module, nn.PReLU):
        values = {'num_parameters': shape[0]}
    elif hasattr(module, 'num_features'):
        values = {'num_features': shape[0]}
    for attribute, value in values.items():
        setattr(module, attribute, value)
