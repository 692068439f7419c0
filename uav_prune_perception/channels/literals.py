# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Channel counts that a module keeps as numbers: ``split(self.width, 1)``.

The forward of Res2Net, CSPDarkNet or a YOLO attention reads a width from an attribute of the
module. If those channels are cut, the number has to follow. Which attribute it is can only be
guessed by its value; the guess is kept if the compact network then reproduces the masked one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .cost import count_kept


@dataclass(frozen=True, eq=False)
class Literal:
    """A size in the forward of ``module`` that counts channels.

    Attributes:
        module: path of the module whose forward uses it.
        value: the size in the dense network.
        ids: the channels it counts, int64 [value] or [value, k].
    """

    module: str
    value: int
    ids: Tensor


@dataclass(frozen=True, eq=False)
class Edit:
    """An attribute that is to follow a literal; ``index`` in a list or tuple, else None."""

    module: str
    attribute: str
    index: int | None
    literal: Literal

    @property
    def place(self) -> tuple[str, str, int | None]:
        """What it changes."""
        return self.module, self.attribute, self.index


def find_edits(model: nn.Module, literals: Iterable[Literal]) -> list[Edit]:
    """Every integer attribute, of the literal's module or one around it, that has its value."""
    modules = dict(model.named_modules(remove_duplicate=False))
    edits: dict[tuple[str, str, int | None], Edit] = {}
    for literal in literals:
        path = literal.module
        while path:
            for attribute, index, value in _integers(modules.get(path)):
                if value == literal.value:
                    edit = Edit(path, attribute, index, literal)
                    edits.setdefault(edit.place, edit)
            path = path.rpartition('.')[0]
        for attribute, index, value in _integers(model):
            if value == literal.value:
                edit = Edit('', attribute, index, literal)
                edits.setdefault(edit.place, edit)
    return list(edits.values())


def _integers(module: nn.Module | None) -> Iterable[tuple[str, int | None, int]]:
    if module is None:
        return
    for attribute, value in vars(module).items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield attribute, None, value
        elif isinstance(value, (list, tuple)):
            for index, entry in enumerate(value):
                if isinstance(entry, int) and not isinstance(entry, bool):
                    yield attribute, index, entry


def edited_attributes(
    model: nn.Module, edits: Sequence[Edit], alive: Tensor
) -> dict[str, dict[str, Any]]:
    """Module path -> attribute -> new value, for edits whose channels are cut.

    Args:
        model: the dense network.
        edits: the edits in force.
        alive: bool [number of ids].
    """
    modules: Mapping[str, nn.Module] = dict(model.named_modules(remove_duplicate=False))
    changed: dict[str, dict[str, Any]] = {}
    for edit in edits:
        value = count_kept(alive[edit.literal.ids])
        if value == edit.literal.value:
            continue
        attributes = changed.setdefault(edit.module, {})
        if edit.index is None:
            attributes[edit.attribute] = value
            continue
        whole = attributes.setdefault(
            edit.attribute, list(getattr(modules[edit.module], edit.attribute))
        )
        whole[edit.index] = value
    return changed
