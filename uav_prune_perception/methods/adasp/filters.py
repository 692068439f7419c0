# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The filters of each group in a network in training: their norms, and their masking."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uav_prune_perception.channels import Group


class GroupFilters:
    """The producers of one group, and what accompanies them.

    A residual stream's producers (projection convolutions included) are one group: a choice is
    masked in all of them, as it is in the final cut.

    Args:
        group: of the channel graph.
        least: choices that always stay.
    """

    def __init__(self, group: Group, least: int) -> None:
        self.name, self.width, self.least = group.name, group.width, least
        self.producers = [(s.parameter, s.dim, group.members[s]) for s in group.producers]
        self.norms = [(s.parameter, s.dim, group.members[s]) for s in group.norms]

    def energy(self, model: nn.Module) -> Tensor:
        """``r_i = n ||F_i||^2 / sum_j ||F_j||^2``: float [width], mean 1 (METHODS 1.4, A1).

        The squared norm over the layer's mean, because BatchNorm makes raw norms incomparable;
        coupled layers are averaged with equal say.
        """
        return torch.stack([_share(self._squares(model, p)) for p in self.producers]).mean(0)

    def scales(self, model: nn.Module) -> Tensor | None:
        """Mean |gamma| of each choice's BatchNorm scales, float [width]; None without any."""
        found = [
            model.get_parameter(name).detach().abs().movedim(dim, 0)[members.to(_where(model))]
            for name, dim, members in self.norms
            if name.endswith('.weight') and model.get_parameter(name).dim() == 1
        ]
        return torch.stack([scale.mean(1) for scale in found]).mean(0) if found else None

    def weights(self, model: nn.Module) -> list[Tensor]:
        """The producers' weights, filters first: [n, ...] each; views, not copies."""
        return [_tensor(model, name).detach().movedim(dim, 0) for name, dim, _ in self.producers]

    @torch.no_grad()
    def scale_weights(self, model: nn.Module, masked: Tensor, factor: float) -> None:
        """Multiply masked filters by ``factor``; BatchNorm stays, so that they can regrow.

        With weight and scale both 0 both gradients are 0 and the filter never comes back.
        """
        for slot in self.producers:
            _scale_rows(model, slot, masked, factor)

    @torch.no_grad()
    def silence(self, model: nn.Module, masked: Tensor) -> None:
        """Set masked filters to 0 with all that accompanies them: what the final cut removes."""
        self.scale_weights(model, masked, 0.0)
        for slot in self.norms:
            if not slot[0].endswith(('running_mean', 'running_var')):
                _scale_rows(model, slot, masked, 0.0)

    @torch.no_grad()
    def clip_masked(self, model: nn.Module, masked: Tensor, largest: float) -> None:
        """Limit masked filters' gradients to ``largest`` times the others' mean norm.

        BatchNorm divides the gradient of a filter that is 0 by sqrt(eps): without a limit it is
        hundreds of times the others' and, through clipping of the whole, stops them.
        """
        if bool(masked.all()):
            return
        for name, dim, members in self.producers:
            gradient = _tensor(model, name).grad
            if gradient is None:
                continue
            filters = gradient.movedim(dim, 0)
            norms = filters.flatten(1).norm(dim=1)
            limit = largest * norms[members[~masked].flatten().to(norms.device)].mean()
            chosen = members[masked].flatten().to(norms.device)
            factor = (limit / norms[chosen].clamp_min(1e-30)).clamp_max(1.0)
            filters[chosen] *= factor.view(-1, *[1] * (filters.dim() - 1))

    def _squares(self, model: nn.Module, producer: tuple[str, int, Tensor]) -> Tensor:
        name, dim, members = producer
        weight = _tensor(model, name).detach().movedim(dim, 0).flatten(1)
        return weight.float().square().sum(1)[members.to(weight.device)].sum(1)


def _scale_rows(
    model: nn.Module, slot: tuple[str, int, Tensor], masked: Tensor, factor: float
) -> None:
    name, dim, members = slot
    entries = _tensor(model, name).data.movedim(dim, 0)  # a view
    entries[members[masked].flatten().to(entries.device)] *= factor


def _tensor(model: nn.Module, name: str) -> Tensor:
    path, _, attribute = name.rpartition('.')
    found: Tensor = getattr(model.get_submodule(path), attribute)
    return found


def _share(squares: Tensor) -> Tensor:
    return squares / squares.mean().clamp_min(1e-30)


def _where(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
