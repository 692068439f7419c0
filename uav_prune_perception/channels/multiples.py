# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Forwards that want widths in multiples: ``assert channels % 4 == 0`` in a channel shuffle.

The graph cannot see an assertion. When a trial cut makes the forward of a module fail, the
channels that enter modules of its class are tied in bundles of 2, then 4, then 8: what is cut are
then multiples, and the width stays whatever multiple the dense one is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.utils import _pytree as pytree

from .exported import module_paths
from .groups import Group
from .id_space import squeeze_constant
from .walk import Ids, IdWalk

MOST = 8


def kind_of(model: nn.Module, path: str) -> type[nn.Module] | None:
    """The class of the module at ``path``; None for torch's own, which assert nothing."""
    kind = type(model.get_submodule(path)) if path else None
    return None if kind is None or kind.__module__.startswith('torch.') else kind


def tie_multiples(
    walk: IdWalk, values: Mapping[Node, Ids], groups: Sequence[Group], kind: type[nn.Module],
    multiple: int,
) -> bool:
    """Tie choices of groups that enter modules of a class, so that they go by ``multiple``.

    Args:
        walk: its classes are united in place.
        values: ids of every node's value, canonical.
        groups: of the walk.
        kind: class of a module whose forward failed.
        multiple: what one choice takes of a tensor that enters is to be divisible by it.

    Returns:
        Whether anything was tied.
    """
    entering = _entering(walk, values, kind)
    tied = False
    for group in groups:
        size = max(
            (multiple // math.gcd(multiple, int(n)) for n in entering[:, group.classes].unique()
             if n > 0),
            default=1,
        )
        if size == 1:
            continue
        bundles = group.classes.split(size) if group.width >= 2 * size else (group.classes,)
        for bundle in bundles:
            walk.space.unite_all(bundle)
        tied = True
    return tied


def _entering(walk: IdWalk, values: Mapping[Node, Ids], kind: type[nn.Module]) -> Tensor:
    """Channels of each class in each tensor that enters a module of the kind: int64 [n, ids]."""
    paths = {
        path for path, one in walk.exported.model.named_modules(remove_duplicate=False)
        if type(one) is kind
    }
    entering: dict[Node, None] = {}
    for node in walk.exported.graph_module.graph.nodes:
        inside = paths.intersection(module_paths(node))
        entering.update(dict.fromkeys(
            one for one in node.all_input_nodes if inside.difference(module_paths(one))
        ))
    size = len(walk.space)
    rows = [
        torch.bincount(walk.space.canonical(squeeze_constant(ids)).reshape(-1), minlength=size)
        for node in entering for ids in pytree.tree_leaves(values.get(node))
        if isinstance(ids, Tensor)
    ]
    return torch.stack(rows) if rows else torch.zeros(1, size, dtype=torch.int64)
