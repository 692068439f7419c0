# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From kept choices to slices of parameters, coupled or branch by branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .errors import ChannelError
from .groups import Group, Key
from .keep import Keep, one_mask
from .plan import Cut
from .recombine import Branch, Placement, arrange
from .walk import IdWalk


@dataclass
class Choice:
    """What stays of one group.

    Attributes:
        mask: bool [width], choices that any producer keeps.
        own: weight name -> bool [width] of producers that keep fewer than that.
        order: alive choices in the order that the stream carries them.
    """

    mask: Tensor
    own: dict[str, Tensor] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)


def choices(
    groups: Sequence[Group], keep: Keep, branches: Mapping[str, Branch]
) -> dict[str, Choice]:
    """Read ``keep``; a mapping {producer module: kept} in place of a mask cuts branch by branch.

    A producer that is not named, or that cannot be cut on its own, keeps whatever any other does.

    Raises:
        ChannelError: unknown group or producer, wrong length, index out of range, nothing kept.
    """
    widths = {group.name: group for group in groups}
    for name in keep:
        if name not in widths:
            raise ChannelError(f'keep names "{name}", which is not a prunable group')
    return {group.name: _choice(group, keep.get(group.name), branches) for group in groups}


def _choice(group: Group, given: object, branches: Mapping[str, Branch]) -> Choice:
    if given is None:
        mask = torch.ones(group.width, dtype=torch.bool)
        return Choice(mask, order=list(range(group.width)))
    if not isinstance(given, Mapping):
        mask = one_mask(group.name, group.width, given)
        return Choice(mask, order=torch.nonzero(mask).flatten().tolist())
    producers = {slot.module: slot.parameter for slot in group.producers}
    masks: dict[str, Tensor] = {}
    for module, kept in given.items():
        if module not in producers:
            raise ChannelError(f'{group.name}: "{module}" is none of its producers {producers}')
        masks[producers[module]] = one_mask(f'{group.name} / {module}', group.width, kept)
    mask = torch.stack(list(masks.values())).any(0)
    own = {
        weight: each
        for weight, each in masks.items()
        if weight in branches and not torch.equal(each, mask)
    }
    alive = torch.nonzero(mask).flatten().tolist()
    if own and _may_reorder(group):
        sets = [set(torch.nonzero(each).flatten().tolist()) for each in own.values()]
        alive = arrange(alive, sets)
    return Choice(mask, own, alive)


def _may_reorder(group: Group) -> bool:
    """Channels may change places if each stands alone and in the same order everywhere."""
    return all(
        table.shape[1] == 1 and bool((table[1:, 0] > table[:-1, 0]).all())
        for table in group.members.values()
    )


def make_cuts(
    walk: IdWalk,
    groups: Sequence[Group],
    chosen: Mapping[str, Choice],
    branches: Mapping[str, Branch],
) -> tuple[tuple[Cut, ...], dict[str, Placement]]:
    """Slices of every parameter, and where branches with channels of their own are placed."""
    dead = dead_of(walk, groups, chosen)
    kept: dict[Key, list[int]] = {}
    for key, ids in walk.slots.items():
        alive = ~dead[walk.space.canonical(ids)]
        kept[key] = torch.nonzero(alive).flatten().tolist()
    for group in groups:
        if chosen[group.name].own:
            _reorder(group, chosen[group.name], kept)
    placements: dict[str, Placement] = {}
    for weight, lost in lost_entries(groups, chosen).items():
        branch, stream = branches[weight], kept[weight, 0]
        positions = tuple(i for i, index in enumerate(stream) if index not in lost)
        own = [stream[i] for i in positions]
        for parameter in branch.parameters:
            kept[parameter, 0] = own
        placements[branch.tail] = Placement(positions, len(stream), branch.parameters)
    cuts = tuple(
        Cut(*key, walk.slots[key].numel(), tuple(indices))
        for key, indices in sorted(kept.items())
        if indices != list(range(walk.slots[key].numel()))
    )
    return cuts, placements


def lost_entries(
    groups: Sequence[Group], chosen: Mapping[str, Choice]
) -> dict[str, set[int]]:
    """Weight -> output channels that it does not make though its stream carries them.

    A producer may take part in several groups (behind a zero-padded shortcut, say), and loses in
    each what its own mask there says.
    """
    lost: dict[str, set[int]] = {}
    for group in groups:
        choice = chosen[group.name]
        tables = {slot.parameter: group.members[slot] for slot in group.producers}
        for weight, mask in choice.own.items():
            gone = tables[weight][choice.mask & ~mask]
            lost.setdefault(weight, set()).update(gone.flatten().tolist())
    return lost


def _reorder(group: Group, choice: Choice, kept: dict[Key, list[int]]) -> None:
    """Write the group's channels in the stream's order, in the places that they hold."""
    if choice.order == sorted(choice.order):
        return
    for slot, table in group.members.items():
        indices = kept[slot.parameter, slot.dim]
        mine = {int(table[row, 0]) for row in choice.order}
        ordered = iter([int(table[row, 0]) for row in choice.order])
        kept[slot.parameter, slot.dim] = [next(ordered) if i in mine else i for i in indices]


def dead_of(walk: IdWalk, groups: Sequence[Group], chosen: Mapping[str, Choice]) -> Tensor:
    """Bool [number of ids]: classes that no producer keeps."""
    dead = torch.zeros(len(walk.space), dtype=torch.bool)
    for group in groups:
        dead[group.classes[~chosen[group.name].mask]] = True
    return dead
