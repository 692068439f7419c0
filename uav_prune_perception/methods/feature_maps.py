# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the channels of a group can be seen at work: feature maps behind BatchNorm and activation.

A score that looks at data wants, for each producer of a group, the feature map that its channels
make. The channel graph knows which BatchNorm and which activation follow a convolution, whether
they are modules or functions of the user's forward; a `Tap` says which module to hook and what is
left to apply.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.utils.hooks import RemovableHandle

from uav_prune_perception.channels.exported import module_path, operator_name
from uav_prune_perception.channels.recombine import NORMS

if TYPE_CHECKING:
    from uav_prune_perception.channels import ChannelGraph
    from uav_prune_perception.channels.exported import Exported

LAYERS = (
    'aten.conv1d', 'aten.conv2d', 'aten.conv3d', 'aten.linear',
    'aten.conv_transpose1d', 'aten.conv_transpose2d', 'aten.conv_transpose3d',
)
_NAMES = (
    'relu relu6 silu hardswish hardsigmoid hardtanh leaky_relu elu selu celu mish sigmoid tanh '
    'gelu clamp clamp_min softplus'
)
ACTIVATIONS = {f'aten.{name}{end}' for name in _NAMES.split() for end in ('', '_')}

See = Callable[['Tap', Tensor], 'Tensor | None']


@dataclass(frozen=True, eq=False)
class Tap:
    """Where one producer's feature map can be seen.

    Attributes:
        weight: name of the producer's weight.
        module: path of the module whose output is the map.
        norm: path of the BatchNorm that follows the producer directly, or None.
        activation: what follows the module's output before anyone else reads it.
        linear: channels are the last dimension, not the second.
    """

    weight: str
    module: str
    norm: str | None
    activation: Callable[[Tensor], Tensor] | None
    linear: bool = False

    def map(self, output: Tensor) -> Tensor:
        """The module's output as activated feature map [B, C, ...]."""
        shown = output if self.activation is None else self.activation(output)
        return channels_second(shown, linear=self.linear)


def channels_second(output: Tensor, *, linear: bool) -> Tensor:
    """A layer's output as [B, C, ...]; linear layers have their channels last."""
    return output.movedim(-1, 1) if linear and output.dim() > 2 else output


def find_taps(graph: ChannelGraph) -> dict[str, Tap]:
    """Producer weight -> tap, for every producer of a group whose map a module puts out."""
    exported = graph.exported
    wanted = {slot.parameter for group in graph.groups for slot in group.producers}
    runs: dict[str, int] = {}
    for node in exported.graph_module.graph.nodes:
        if node.op == 'call_function':
            runs[module_path(node)] = runs.get(module_path(node), 0) + 1
    modules = dict(exported.model.named_modules(remove_duplicate=False))
    taps: dict[str, Tap] = {}
    for node in exported.graph_module.graph.nodes:
        if operator_name(node) not in LAYERS or len(node.args) < 2:
            continue
        name = _parameter(exported, node.args[1])
        if name is not None and name in wanted and name not in taps:
            tap = _tap(exported, node, name, (modules, runs))
            if tap is not None:
                taps[name] = tap
    return taps


def find_norms(graph: ChannelGraph) -> dict[str, tuple[str, ...]]:
    """Producer weight -> scale and shift of the BatchNorm right behind it, where there is one."""
    exported = graph.exported
    wanted = {slot.parameter for group in graph.groups for slot in group.producers}
    found: dict[str, tuple[str, ...]] = {}
    for node in exported.graph_module.graph.nodes:
        if operator_name(node) not in LAYERS or len(node.args) < 2:
            continue
        name, norm = _parameter(exported, node.args[1]), _only_user(node)
        if name in wanted and norm is not None and operator_name(norm) in NORMS:
            affine = [_parameter(exported, argument) for argument in norm.args[1:3]]
            if affine[0] is not None:
                found[str(name)] = tuple(parameter for parameter in affine if parameter)
    return found


@contextlib.contextmanager
def watching(model: nn.Module, taps: Iterable[Tap], see: See) -> Iterator[None]:
    """While inside, every forward of ``model`` shows its feature maps to ``see``.

    Args:
        model: the network that the taps were found in (or a copy of it).
        taps: what to watch.
        see: called with the tap and the activated map [B, C, ...]; what it returns (unless None)
            multiplies the module's output, shape [B, C].
    """
    modules = dict(model.named_modules(remove_duplicate=False))

    def hook(tap: Tap) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def seen(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
            gate = see(tap, tap.map(output))
            if gate is None:
                return None
            dims = output.dim() - 2
            shape = (gate.shape[0], *[1] * dims, gate.shape[1]) if tap.linear else (
                *gate.shape, *[1] * dims)
            return output * gate.reshape(shape)

        return seen

    handles = [modules[tap.module].register_forward_hook(hook(tap)) for tap in taps]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tap(
    exported: Exported, node: Node, weight: str, known: tuple[dict[str, nn.Module], dict[str, int]]
) -> Tap | None:
    modules, runs = known
    linear = operator_name(node) == 'aten.linear'
    path = weight.rpartition('.')[0]
    if module_path(node) != path or any(modules[path].children()):
        return None  # a function of the user's forward: no module puts out its result
    last, norm = node, None
    follower = _only_user(last)
    if follower is not None and operator_name(follower) in NORMS:
        where = module_path(follower)
        if where not in modules or any(modules[where].children()):
            return Tap(weight, path, None, None, linear)
        path, norm, last = where, where, follower
        follower = _only_user(last)
    if follower is None or operator_name(follower) not in ACTIVATIONS:
        return Tap(weight, path, norm, None, linear)
    where = module_path(follower)
    if where == path:  # BatchNorm and activation in one module
        return Tap(weight, path, norm, None, linear)
    if where in modules and where and not any(modules[where].children()) and runs[where] == 1:
        return Tap(weight, where, norm, None, linear)
    return Tap(weight, path, norm, _function(follower), linear)


def _only_user(node: Node) -> Node | None:
    users = list(node.users)
    if len(users) == 1 and operator_name(users[0]) == 'getitem':  # a norm's first result
        return _only_user(users[0])
    return users[0] if len(users) == 1 else None


def _function(node: Node) -> Callable[[Tensor], Tensor]:
    target = node.target
    if operator_name(node).endswith('_'):
        packet = operator_name(node).removeprefix('aten.').removesuffix('_')
        target = getattr(torch.ops.aten, packet).default
    rest, names = node.args[1:], dict(node.kwargs)
    assert callable(target)
    return lambda x: target(x, *rest, **names)


def _parameter(exported: Exported, node: Any) -> str | None:
    return exported.parameters.get(node.name) if isinstance(node, Node) else None


def show_pictures(
    model: nn.Module, batches: Iterable[Tensor], handles: Iterable[RemovableHandle]
) -> None:
    """Run pictures through ``model`` in evaluation mode for the sake of its hooks.

    Args:
        model: afterwards every module is in the mode that it was in.
        batches: normalised pictures, float32 [B, C, H, W].
        handles: of the hooks; removed afterwards, whatever happens.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad():
            for images in batches:
                model(images.to(device))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
