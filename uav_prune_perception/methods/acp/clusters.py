# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stage A: channels whose mean feature maps are alike count as one (DBSCAN).

[C] A^l_i is the mean over 200 pictures of the output of channel i of a convolution, before
BatchNorm, flattened; labels come from DBSCAN with the cosine distance, radius eps and
``min_samples`` 5; the layer's width becomes the number of clusters plus the number of noise
points, each of which stands for itself.

Follows from that [V]: 2 to 4 equal channels are never merged at ``min_samples`` 5, five are; an
eps of 2 or more leaves one channel; the distance sees the sign of a map but not its scale.

[R] Where choices of a group tie several channels, their maps are joined end to end. Where
several layers write the same channels (a residual stream), each layer's maps are brought to the
same mean norm and joined. Outputs without pixels (linear layers) are compared by their values
over the pictures, not by the mean. Where a layer runs on maps of several sizes (a head that the
scales of a detector share), the mean of each size is joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uav_prune_perception.channels import Group
from uav_prune_perception.methods.feature_maps import channels_second, show_pictures

MIN_SAMPLES = 5
# DBSCAN's radius counts a distance of eps as inside; cosine distances of equal maps come out as
# 1e-16 or so instead of 0.
ROUNDING = 1e-12


def mean_feature_maps(
    model: nn.Module, groups: Sequence[Group], batches: Iterable[Tensor]
) -> dict[str, NDArray[np.float64]]:
    """Mean output of every choice of every group.

    Args:
        model: the dense network; runs in evaluation mode.
        groups: whose producers are watched.
        batches: normalised pictures, float32 [B, C, H, W].

    Returns:
        Group name -> [width, features].
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    paths = {slot.module for group in groups for slot in group.producers}
    sums: dict[str, Any] = {}
    handles = [modules[path].register_forward_hook(_watching(path, sums)) for path in paths]
    show_pictures(model, batches, handles)
    maps = {path: _finished(found) for path, found in sums.items()}
    return {group.name: _of_choices(group, maps) for group in groups}


def _watching(path: str, sums: dict[str, Any]) -> Any:
    def see(module: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        found = output.detach().to('cpu', torch.float64)
        if found.dim() == 2:  # [B, C]: values over pictures
            sums.setdefault(path, []).append(found)
            return
        found = channels_second(found, linear=isinstance(module, nn.Linear))
        own, size = sums.setdefault(path, {}), tuple(found.shape[2:])
        total = found.sum(0).flatten(1)
        own[size] = own[size] + total if size in own else total

    return see


def _finished(found: Any) -> Tensor:
    """float64 [channels, features]; a sum serves as well as a mean: the distance is angular."""
    return torch.cat(found).T if isinstance(found, list) else torch.cat([*found.values()], dim=1)


def _of_choices(group: Group, maps: Mapping[str, Tensor]) -> NDArray[np.float64]:
    parts = []
    for slot in group.producers:
        if slot.module not in maps:
            continue
        own = maps[slot.module][group.members[slot]].flatten(1)
        scale = float(own.norm(dim=1).mean())
        parts.append(own / scale if scale > 0 else own)
    if not parts:  # a producer that the forward never calls as a module
        return np.eye(group.width)
    return np.asarray(torch.cat(parts, dim=1).numpy(), np.float64)


def distances(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine distance between the rows of ``maps``: [width, width], 0..2."""
    from sklearn.metrics.pairwise import cosine_distances

    return np.asarray(cosine_distances(maps), np.float64)


def cluster_labels(
    far: NDArray[np.float64], eps: float, min_samples: int = MIN_SAMPLES
) -> NDArray[np.int64]:
    """DBSCAN labels [width] from a distance matrix; -1 is noise."""
    from sklearn.cluster import DBSCAN

    scan = DBSCAN(eps=max(eps, ROUNDING), min_samples=min_samples, metric='precomputed')
    return np.asarray(scan.fit(far).labels_, np.int64)


def cluster_width(
    far: NDArray[np.float64], eps: float, min_samples: int = MIN_SAMPLES
) -> int:
    """Number of clusters plus number of noise points: 1..width."""
    labels = cluster_labels(far, eps, min_samples)
    return len(set(labels[labels >= 0].tolist())) + int((labels < 0).sum())
