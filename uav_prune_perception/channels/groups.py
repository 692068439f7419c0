# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""From classes of ids to groups: channels that differ only in their index.

A *class* is one set of slots that die together (filter 7 of a convolution, entry 7 of its
BatchNorm, input 7 of the next layer). Classes that touch the same parameters in the same way form
a *group*; its ``width`` is how many classes there are to choose from.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .walk import IdWalk

Key = tuple[str, int]
"""A parameter's name and one of its dimensions."""


@dataclass(frozen=True)
class Slot:
    """One dimension of one parameter or buffer, and what its entries do.

    Attributes:
        parameter: name in the network, e.g. ``layer1.0.conv1.weight``.
        dim: its dimension.
        role: ``producer`` (makes channels), ``norm`` (accompanies them: BatchNorm, bias, layer
            scale) or ``consumer`` (reads them).
    """

    parameter: str
    dim: int
    role: str

    @property
    def module(self) -> str:
        """Dotted path of the module that owns the parameter."""
        return self.parameter.rpartition('.')[0]


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that can be chosen among, with everything that goes when one of them goes.

    Attributes:
        name: the first producer's module path (with ``#2``... where it makes several groups).
        width: number of choices.
        members: for each slot, int64 [width, n]: the indices that choice i takes away.
        classes: int64 [width], the class representative of each choice in the id space.
    """

    name: str
    width: int
    members: dict[Slot, Tensor]
    classes: Tensor

    def slots(self, role: str) -> list[Slot]:
        """Slots that play ``role``."""
        return [slot for slot in self.members if slot.role == role]

    @property
    def producers(self) -> list[Slot]:
        """Dimensions of weights that make these channels."""
        return self.slots('producer')

    @property
    def norms(self) -> list[Slot]:
        """Parameters that accompany them: BatchNorm, biases, depthwise kernels, layer scales."""
        return self.slots('norm')

    @property
    def consumers(self) -> list[Slot]:
        """Dimensions of weights that read them."""
        return self.slots('consumer')

    def channels_of(self, weight: str) -> int:
        """Output channels of the producer ``weight`` that one choice takes."""
        slot = next(slot for slot in self.producers if slot.parameter == weight)
        return int(self.members[slot].shape[1])

    @property
    def tied(self) -> int:
        """Channels of the first producer that one choice takes: above 1, channels are tied.

        Chunks, shuffles, pixel shuffles and grouped convolutions tie channels.
        """
        return int(self.members[self.producers[0]].shape[1])

    def step(self, round_to: int) -> int:
        """Choices in which the width goes down, so that channels stay multiples of ``round_to``.

        Where tied channels lie apart (the halves of a chunk, the groups of a convolution), each
        run of them is read by itself, and each should be a multiple. Runs too narrow for that
        (grouped convolutions) are counted together.
        """
        channels = torch.sort(self.members[self.producers[0]][0]).values
        runs = 1 + int((torch.diff(channels) != 1).sum())
        run = self.tied // runs
        if self.tied == runs * run and self.width * run >= 2 * round_to:
            return round_to // math.gcd(round_to, run)
        return round_to // math.gcd(round_to, self.tied)

    def __str__(self) -> str:
        made = ', '.join(slot.parameter for slot in self.producers)
        read = ', '.join(slot.parameter for slot in self.consumers)
        tied = f' x {self.tied} tied' if self.tied > 1 else ''
        return f'{self.name}: {self.width}{tied}  [{made}] -> [{read}]'


@dataclass(frozen=True)
class Frozen:
    """Channels that stay.

    Attributes:
        name: module path of their first producer.
        channels: how many channels of producers it has.
        reason: the operator, its module, and why.
    """

    name: str
    channels: int
    reason: str

    def __str__(self) -> str:
        return f'{self.name}: {self.channels} channels stay: {self.reason}'


def by_reason(frozen: Iterable[Frozen]) -> list[str]:
    """One line for each operator and reason, however many layers it holds."""
    alike: dict[str, list[Frozen]] = defaultdict(list)
    for one in frozen:
        alike[re.sub(r' in \S+: ', ': ', one.reason, count=1)].append(one)
    lines: list[str] = []
    for reason, layers in alike.items():
        if len(layers) == 1:
            lines.append(str(layers[0]))
            continue
        names = ', '.join(one.name for one in layers[:3]) + (', ...' if len(layers) > 3 else '')
        count = sum(one.channels for one in layers)
        lines.append(f'{names} ({len(layers)} layers): {count} channels stay: {reason}')
    return lines


@dataclass
class _Class:
    entries: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))

    def signature(self) -> tuple[tuple[Key, int], ...]:
        return tuple((key, len(indices)) for key, indices in self.entries.items())


def find_groups(walk: IdWalk) -> tuple[list[Group], list[Frozen]]:
    """Sort all classes of a finished walk into groups and what is frozen, in network order."""
    reasons = walk.space.frozen_reasons()
    alike: dict[tuple[tuple[Key, int], ...], list[int]] = defaultdict(list)
    stuck: dict[tuple[str, str], int] = defaultdict(int)
    classes = _classes(walk)
    for root, one in classes.items():
        made = [key for key in one.entries if walk.roles[key] == 'producer']
        if not made:
            continue
        if root in reasons:
            for key in made:
                stuck[_module(key), reasons[root]] += len(one.entries[key])
        else:
            alike[one.signature()].append(root)
    groups: list[Group] = []
    names: dict[str, int] = defaultdict(int)
    for signature, roots in alike.items():
        if len(roots) == 1:
            for key, count in signature:
                if walk.roles[key] == 'producer':
                    stuck[_module(key), 'all of its channels are tied together'] += count
            continue
        group = _group(walk, signature, roots, classes)
        names[group.name] += 1
        if names[group.name] > 1:
            name = f'{group.name}#{names[group.name]}'
            group = Group(name, group.width, group.members, group.classes)
        groups.append(group)
    frozen = [Frozen(name, count, reason) for (name, reason), count in stuck.items()]
    return groups, frozen


def _classes(walk: IdWalk) -> dict[int, _Class]:
    classes: dict[int, _Class] = defaultdict(_Class)
    for key, ids in walk.slots.items():
        for index, root in enumerate(walk.space.canonical(ids).tolist()):
            classes[root].entries[key].append(index)
    return classes


def _module(key: Key) -> str:
    return key[0].rpartition('.')[0]


def _group(
    walk: IdWalk,
    signature: tuple[tuple[Key, int], ...],
    roots: list[int],
    classes: dict[int, _Class],
) -> Group:
    first = next(key for key, _ in signature if walk.roles[key] == 'producer')
    members = {
        Slot(*key, walk.roles[key]): torch.tensor([classes[root].entries[key] for root in roots])
        for key, _ in signature
    }
    return Group(_module(first) or first[0], len(roots), members, torch.tensor(roots))


def producer_channels(groups: list[Group]) -> int:
    """Channels of producers that can be cut, summed over producers."""
    return sum(count for group in groups for count in _made(group))


def _made(group: Group) -> Iterator[int]:
    for slot in group.producers:
        yield group.members[slot].numel()
