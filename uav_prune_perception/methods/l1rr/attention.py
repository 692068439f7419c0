# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The feature attention loss: does a pruned network still look where the targets are?

Our reconstruction (METHODS.md 2.4), on the activation attention of Zagoruyko and Komodakis 2017:

    Att(F) = sum_c F_c^2 / || sum_c F_c^2 ||_2
    L_FA   = sum_s [ sum M (Att_T - Att_S)^2 / max(1, sum M)
                     + 0.1 sum B (Att_T - Att_S)^2 / max(1, sum B) ],   B = 1 - M

T is the network before the cut, S after it, s runs over the feature levels, M marks the targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BACKGROUND = 0.1


def attention_map(features: Tensor) -> Tensor:
    """Float [B, C, H, W] -> [B, H, W] of unit length for each picture.

    How many channels there are does not matter, so a pruned network can be compared.
    """
    energy = features.square().sum(dim=1)
    length = energy.flatten(1).norm(dim=1).clamp_min(1e-12)
    return energy / length.view(-1, 1, 1)


def feature_attention_loss(
    dense: Sequence[Tensor],
    pruned: Sequence[Tensor],
    masks: Sequence[Tensor],
    background: float = BACKGROUND,
    weights: Sequence[Tensor] | None = None,
) -> Tensor:
    """L_FA of each picture.

    Args:
        dense: attention maps of the network before the cut, one [B, H, W] for each level.
        pruned: those after the cut.
        masks: 0..1 where targets are, [B, H, W] for each level, or [K, B, H, W] for K classes.
        background: weight of what is no target.
        weights: in place of the masks within the first sum, where targets shall not count by
            their area (`target_masks.object_weights`).

    Returns:
        [B], or [K, B].
    """
    total: Tensor | None = None
    for before, after, mask, weight in zip(dense, pruned, masks, weights or masks, strict=True):
        error = (before - after).square()
        rest = 1.0 - mask
        here = (weight * error).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1.0)
        there = (rest * error).sum((-2, -1)) / rest.sum((-2, -1)).clamp_min(1.0)
        level = here + background * there
        total = level if total is None else total + level
    if total is None:
        return torch.zeros(0)
    return total
