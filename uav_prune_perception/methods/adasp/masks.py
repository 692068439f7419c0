# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks that move while the network learns: the training hook of AdaSP, SFP and ASFP."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uav_prune_perception.methods.allocation import Counts, Ranking, reach
from uav_prune_perception.methods.interfaces import Budget, Keep, LevelContext, SoftMasks

from .filters import GroupFilters
from .options import AdaSPOptions
from .ratios import Floats, Widths, by_movement, by_threshold, cost_aware, uniform
from .schedule import SCHEDULES

# Steps after a masking in which a masked filter is so small that BatchNorm blows up its gradient.
YOUNG = 5
STEPS = 400  # of the path from the ratios as they are to the narrowest network
REACH = 8.0  # how far beyond the ratios that path leads: kept shares to this power
CLOSE = 0.01  # of the target: from here on an epoch may be the best


class AdaptiveMasks(SoftMasks):
    """The loop of METHODS 1.4, algorithm AdaSP-R.

    After every step ratios are refreshed from the weights as they stand; at the end of every
    epoch the smallest filters of each group are set to zero (or shrunk), keep their gradients
    and their momentum, and may come back. At the end masks freeze, exactly on the budget.

    Args:
        context: of the level.
        options: settings.
    """

    def __init__(self, context: LevelContext, options: AdaSPOptions) -> None:
        self.context, self.options = context, options
        groups = context.graph.groups
        self.filters = [
            GroupFilters(group, context.bounds[group.name].least) for group in groups
        ]
        cost = context.graph.width_cost()
        least = np.array([filters.least for filters in self.filters], dtype=np.float64)
        self.widths = Widths(cost, context.asked.kind, cost.full, least)
        self.masked = {filters.name: torch.zeros(filters.width) > 0 for filters in self.filters}
        self.ratios: Floats = np.zeros(len(groups))
        self.movement: Floats = np.zeros(len(groups))
        self.done, self.steps, self.age = 0.0, 0, YOUNG
        self.frozen = False
        self._before: list[list[Tensor]] = []

    # -- training ---------------------------------------------------------------------------

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        """Remember the weights, for those who look at how they move."""
        if self.options.ratios == 'movement' and not self.frozen:
            self._before = [[w.clone() for w in f.weights(model)] for f in self.filters]

    def before_clip(self, model: nn.Module) -> None:
        """Young filters do not stop the others; see `GroupFilters.clip_masked`."""
        if self.options.regrow_clip > 0 and self.age < YOUNG and not self.frozen:
            for filters in self.filters:
                masked = self.masked[filters.name]
                if bool(masked.any()):
                    filters.clip_masked(model, masked, self.options.regrow_clip)

    def after_step(self, model: nn.Module, done: float) -> None:
        """Ratios from updated weights; frozen masks stay zero, whatever momentum says."""
        self.done = done
        self.steps += 1
        self.age += 1
        if self.frozen:
            self._silence(model)
            return
        self._note_movement(model)
        if self.steps % self.options.ratio_interval == 0:
            fresh = self.fresh_ratios(model, self._target(done))
            b = self.options.smoothing
            self.ratios = b * self.ratios + (1 - b) * fresh
        if self.options.mask_interval and self.steps % self.options.mask_interval == 0:
            self._mask(model)

    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Mask, and freeze near the end."""
        if self.frozen:
            return
        if self.options.mask_interval == 0:
            self._mask(model)
        # Frozen masks last an epoch at least: short runs have no other time to settle.
        epoch_share = self.done / (epoch + 1)
        settling = max(self.options.freeze, epoch_share) if self.options.freeze else 0.0
        if self.done >= 1.0 - settling - 1e-9:
            keep = self._chosen(model, self.context.asked)
            self.masked = {name: ~kept for name, kept in keep.items()}
            self.frozen = True
            self._silence(model)

    def before_evaluation(self, model: nn.Module) -> None:
        """What is judged is what the cut would leave."""
        self._silence(model)

    def may_end(self, epoch: int) -> bool:
        """Only where as much is pruned as was asked, and masks are final (if they freeze)."""
        pruned = SCHEDULES[self.options.schedule](self.done)
        return pruned >= 1.0 - CLOSE and (self.frozen or self.options.freeze == 0)

    # -- ratios and masks -------------------------------------------------------------------

    def fresh_ratios(self, model: nn.Module, target: float) -> Floats:
        """The share of each group that should go, by the weights as they are: [groups]."""
        kind = self.options.ratios
        if kind == 'uniform' or (kind == 'movement' and not self.movement.any()):
            return uniform(self.widths, target)
        if kind == 'movement':
            return by_movement(self.movement, self.widths, target)
        energies = _numpy([filters.energy(model) for filters in self.filters])
        if kind == 'gamma':
            scales = [filters.scales(model) for filters in self.filters]
            if any(scale is not None for scale in scales):
                return by_threshold(_scales(scales, energies), self.widths, target)
        current = self.widths.full * (1.0 - self.ratios)
        keys = cost_aware(energies, self.options.alpha, current, self.widths)
        return by_threshold(keys, self.widths, target)

    def _target(self, done: float) -> float:
        """Cost that is asked at this point of the run."""
        full, final = self.widths.price(self.widths.full), self.context.asked.target
        return full - (full - final) * SCHEDULES[self.options.schedule](done)

    def _note_movement(self, model: nn.Module) -> None:
        if not self._before:
            return
        now = [filters.weights(model) for filters in self.filters]
        fresh = np.array([
            np.mean([_moved(a, b) for a, b in zip(before, after, strict=True)])
            for before, after in zip(self._before, now, strict=True)
        ])
        b = self.options.smoothing if self.movement.any() else 0.0
        self.movement = b * self.movement + (1 - b) * fresh
        self._before = []

    def _mask(self, model: nn.Module) -> None:
        factor = self.options.softness * 0.5 * (1 + math.cos(math.pi * self.done))
        for filters, ratio in zip(self.filters, self.ratios, strict=True):
            count = min(int(ratio * filters.width + 1e-9), filters.width - filters.least)
            order = torch.argsort(filters.energy(model), stable=True).cpu()
            masked = torch.zeros(filters.width, dtype=torch.bool)
            masked[order[:count]] = True
            self.masked[filters.name] = masked
            if count:
                filters.scale_weights(model, masked, factor)
        self.age = 0

    def _silence(self, model: nn.Module) -> None:
        for filters in self.filters:
            masked = self.masked[filters.name]
            if bool(masked.any()):
                filters.silence(model, masked)

    # -- the cut ----------------------------------------------------------------------------

    def keep(self, budget: Budget) -> Keep:
        """The frozen masks; for another budget the nearest to them in the same proportions."""
        asked = self.context.asked
        if self.frozen and (budget.kind, budget.target) == (asked.kind, asked.target):
            return {name: ~masked for name, masked in self.masked.items()}
        return self._chosen(self.context.model, budget)

    def _chosen(self, model: nn.Module, budget: Budget) -> Keep:
        """Exactly on the budget: along a path through the ratios, then single widths."""
        ratios = self.ratios
        if not ratios.any():  # nothing was trained
            ratios = self.fresh_ratios(model, budget.target)
        order = {
            filters.name: _unmasked_first(filters.energy(model), self.masked[filters.name])
            for filters in self.filters
        }
        ranking = Ranking(order, self.context.bounds)
        # A group that nothing was cut from gives way too, if the budget needs it.
        kept = 1.0 - np.maximum(ratios, 0.01)

        def at(step: int) -> Counts:
            shares = kept ** (REACH * step / STEPS)
            return {
                (filters.name, ''): ranking.fitted(
                    (filters.name, ''), round(float(share) * filters.width)
                )
                for filters, share in zip(self.filters, shares, strict=True)
            }

        return reach(ranking, budget, at, steps=STEPS)

    # -- resuming ---------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            'masked': dict(self.masked), 'ratios': self.ratios.tolist(),
            'movement': self.movement.tolist(), 'done': self.done, 'steps': self.steps,
            'age': self.age, 'frozen': self.frozen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.masked = dict(state['masked'])
        self.ratios, self.movement = np.array(state['ratios']), np.array(state['movement'])
        self.done, self.steps, self.age = state['done'], state['steps'], state['age']
        self.frozen = state['frozen']


def _numpy(tensors: list[Tensor]) -> list[Floats]:
    """All at once: one transfer from a GPU, not one for each group."""
    flat = torch.cat(tensors).double().cpu().numpy()
    return np.split(flat, np.cumsum([len(tensor) for tensor in tensors])[:-1])


def _scales(scales: list[Tensor | None], energies: list[Floats]) -> list[Floats]:
    """|gamma| of each choice; a group without BatchNorm stands in with its norms."""
    found = [None if scale is None else scale.double().cpu().numpy() for scale in scales]
    mean = float(np.concatenate([values for values in found if values is not None]).mean())
    return [
        mean * np.sqrt(energy) if values is None else values
        for values, energy in zip(found, energies, strict=True)
    ]


def _moved(before: Tensor, after: Tensor) -> float:
    """Mean over filters of ``||dF|| / ||F||``."""
    change = (after - before).flatten(1).norm(dim=1)
    norms = before.flatten(1).norm(dim=1)
    return float((change / norms.clamp_min(1e-3 * float(norms.mean()) + 1e-12)).mean())


def _unmasked_first(energy: Tensor, masked: Tensor) -> Tensor:
    """Scores in which every masked filter is below every other, energy deciding within."""
    energy = energy.double().cpu()
    part = energy / (1.0 + energy.max())
    return part + (~masked).double()
