# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Public checkpoints name the same layers differently; here their names meet ours.

A key is renamed only where the network has no such key, has the new one, of the same shape, and
the checkpoint does not have that one itself: what fits as it is, is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

PREFIXES = ('module.', 'model.', 'backbone.', 'net.', 'encoder.')
# Parts of a key that mean the same layer: heads, and shortcuts.
SYNONYMS = (('fc', 'linear', 'classifier', 'head'), ('shortcut', 'downsample'))


def adapted(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``found`` under the names of ``wanted``, as far as they can be matched.

    Prefixes that wrap a whole network go (DataParallel and the like), heads and shortcuts take
    our names, and the bias of a convolution in front of a BatchNorm goes into its running mean
    where our convolution has no bias (VGG as often published).
    """
    state = _unwrapped(dict(found), wanted)
    for key in list(state):
        if key in wanted:
            continue
        for other in _other_names(key):
            fits = other in wanted and wanted[other].shape == state[key].shape
            if fits and other not in state:
                state[other] = state.pop(key)
                break
    return _without_biases(state, wanted)


def _unwrapped(state: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for _ in range(3):  # module.backbone. ...
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None)
        if not state or prefix is None or any(key.startswith(prefix) for key in wanted):
            return state
        state = {key[len(prefix):]: value for key, value in state.items()}
    return state


def _other_names(key: str) -> Iterator[str]:
    parts = key.split('.')
    for names in SYNONYMS:
        for place, part in enumerate(parts):
            if part in names:
                for name in names:
                    yield '.'.join([*parts[:place], name, *parts[place + 1:]])


def _without_biases(state: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold what BatchNorm would subtract again: mean' = mean - bias."""
    for key in [key for key in state if key.endswith('.bias') and key not in wanted]:
        mean = f'{_norm_after(key.removesuffix(".bias"))}.running_mean'
        has_weight = key.removesuffix('bias') + 'weight' in wanted
        if has_weight and mean in state and state[mean].shape == state[key].shape:
            state[mean] = torch.sub(state[mean], state.pop(key))
    return state


def _norm_after(conv: str) -> str:
    """By the two customs: ``features.3`` -> ``features.4``, ``conv2`` -> ``bn2``."""
    head, _, last = conv.rpartition('.')
    if last.isdigit():
        return f'{head}.{int(last) + 1}'
    return f'{head}.{re.sub("^conv", "bn", last)}'.lstrip('.')
