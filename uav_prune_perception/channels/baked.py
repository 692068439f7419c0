# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Layers that compute their weight from parameters become plain layers with that weight.

Weight standardisation (NFNet, BiT) and weight normalisation divide each filter by a statistic of
all its inputs: cut an input, and what is left of the filter changes. The masked network keeps the
statistic of the dense one. So the weight is computed once and *baked* into an ordinary
convolution or linear layer, which can be cut like any other. The function is the same; training
goes on with the plain weight.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .copies import copy_with
from .errors import ChannelError
from .exported import Exported, export, module_path, operator_name
from .model_tensors import Forward, unwrap

PLAIN: dict[Any, type[nn.Module]] = {
    functional.conv1d: nn.Conv1d,
    functional.conv2d: nn.Conv2d,
    functional.conv3d: nn.Conv3d,
    functional.linear: nn.Linear,
}
ARGUMENTS = ('input', 'weight', 'bias', 'stride', 'padding', 'dilation', 'groups')
OPERATORS = ('aten.conv1d', 'aten.conv2d', 'aten.conv3d', 'aten.linear')


class SameConv2d(nn.Conv2d):
    """Pads so that the output has ceil(input / stride) positions, as TensorFlow does."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, O, ceil(H / stride), ceil(W / stride)]."""
        pads: list[int] = []
        for dim in (1, 0):
            pads += same_padding(
                input.shape[2 + dim], self.kernel_size[dim], self.stride[dim], self.dilation[dim]
            )
        return super().forward(functional.pad(input, pads))


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> list[int]:
    """Before and after, in positions."""
    total = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return [total // 2, total - total // 2]


def export_plain(
    model: nn.Module, example_inputs: Any, forward: Forward | None = None
) -> Exported:
    """As `export`, of a copy whose computed weights are baked; its ``baked`` names the layers."""
    exported = export(model, example_inputs, forward)
    modules = dict(exported.model.named_modules(remove_duplicate=False))
    paths = [path for path in computed_layers(exported) if can_bake(modules.get(path))]
    if not paths:
        return exported
    # `forward` and not what `export` made of it: which parts can be traced may be found anew.
    again = export(with_plain_layers(model, paths), example_inputs, forward)
    return dataclasses.replace(again, baked=tuple(paths))


def computed_layers(exported: Exported) -> list[str]:
    """Paths of modules that run a layer whose weight is computed from parameters alone."""
    from_inputs: set[Node] = set()
    paths: dict[str, None] = {}
    for node in exported.graph_module.graph.nodes:
        if node.op == 'placeholder':
            if node.name not in exported.parameters and node.name not in exported.constants:
                from_inputs.add(node)
        elif any(argument in from_inputs for argument in node.all_input_nodes):
            from_inputs.add(node)
        if operator_name(node) in OPERATORS:
            weight = node.args[1]
            computed = isinstance(weight, Node) and weight.op == 'call_function'
            if computed and weight not in from_inputs and module_path(node):
                paths[module_path(node)] = None
    return list(paths)


def with_plain_layers(model: nn.Module, paths: Iterable[str]) -> nn.Module:
    """A copy with the modules at ``paths`` baked; without paths, ``model`` itself."""
    paths = list(paths)
    if not paths:
        return model
    plain = copy_with(unwrap(model), {})
    bake(plain, paths)
    return plain


def bake(model: nn.Module, paths: Iterable[str]) -> None:
    """Replace the modules at ``paths`` by plain layers, in place.

    Raises:
        ChannelError: there is no such module, or it is not one layer with a computed weight.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for path in paths:
        if path not in modules:
            raise ChannelError(f'the plan changes "{path}", which is no module here')
        parent, _, name = path.rpartition('.')
        setattr(modules[parent], name, plain_layer(modules[path], path))


def can_bake(module: nn.Module | None) -> bool:
    """The module does nothing but one layer (and perhaps padding) with a computed weight."""
    try:
        plain_layer(module, '')  # type: ignore[arg-type]
    except Exception:  # whatever the user's forward says to a probe
        return False
    return True


def plain_layer(module: nn.Module, path: str) -> nn.Module:
    """A layer with the weight that ``module`` computes now, and the same function."""
    was_training = module.training
    probe = _probe(module)
    calls = _Calls()
    with torch.no_grad(), calls:
        expected = module.eval()(probe)
    module.train(was_training)
    if len(calls.layers) != 1:
        raise ChannelError(f'{path}: runs {len(calls.layers)} layers, not one')
    function, given = calls.layers[0]
    weight, bias = given['weight'], given.get('bias')
    sizes = (weight.shape[1] * given.get('groups', 1), weight.shape[0])
    if function is functional.linear:
        plain: nn.Module = nn.Linear(*sizes, bias=bias is not None)
    else:
        kind = SameConv2d if calls.padded else PLAIN[function]
        options = {name: given[name] for name in ARGUMENTS[3:] if name in given}
        plain = kind(*sizes, tuple(weight.shape[2:]), bias=bias is not None, **options)
    plain.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach().clone())
    plain.train(was_training)
    with torch.no_grad():
        if not torch.allclose(plain(probe), expected, rtol=1e-4, atol=1e-5):
            raise ChannelError(f'{path}: does more than one layer')
    return plain


def _probe(module: nn.Module) -> Tensor:
    """An input that fits: odd sizes, so that a padding that follows the size shows."""
    tensor = next(iter(module.parameters()))
    generator = torch.Generator().manual_seed(0)
    channels = getattr(module, 'in_channels', None)
    if channels is None:
        shape: tuple[int, ...] = (1, int(module.in_features))  # type: ignore[arg-type]
    else:
        kernel: Any = module.kernel_size
        shape = (1, int(channels), *(2 * int(k) + 3 for k in kernel))
    return torch.randn(shape, generator=generator).to(tensor)


class _Calls(TorchFunctionMode):
    """Notes layers that run with their arguments, and whether an input was padded before."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[Any, dict[str, Any]]] = []
        self.padded = False

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in PLAIN:
            given = {**dict(zip(ARGUMENTS, args, strict=False)), **(kwargs or {})}
            self.layers.append((func, given))
        self.padded |= func is functional.pad
        return func(*args, **(kwargs or {}))
