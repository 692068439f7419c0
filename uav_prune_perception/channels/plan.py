# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The plan of a cut: which entries of which parameters stay. Plain JSON, no code, no pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from .errors import ChannelError, first_line
from .model_tensors import first_names, unwrap
from .recombine import Placement
from .widen import Widening

FORMAT = 'uav_prune_perception/pruning-plan'
VERSION = 1
PLAN_FILE = 'plan.json'
WEIGHTS_FILE = 'weights.safetensors'


@dataclass(frozen=True)
class Cut:
    """One dimension of one parameter or buffer.

    Attributes:
        parameter: name in the network.
        dim: its dimension.
        size: entries before the cut.
        kept: entries that stay, in their new order (ascending, unless a residual stream was
            rearranged).
    """

    parameter: str
    dim: int
    size: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class PruningPlan:
    """Everything needed to make the compact network from the dense one.

    Attributes:
        cuts: what stays of each parameter dimension that is cut.
        attributes: module path -> attribute -> value (``groups`` of a depthwise convolution).
        kept: group name -> (choices kept, width), for people and reports.
        placements: module path -> where its channels go in a residual stream.
        wide: module path -> how it is run at full width (it mixes channels).
        baked: paths of layers whose computed weight becomes a plain one, before anything is cut.
    """

    cuts: tuple[Cut, ...]
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, tuple[int, int]] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    wide: dict[str, Widening] = field(default_factory=dict)
    baked: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The plan as text; index lists are written as ranges ("0-3,7")."""
        document = {
            'format': FORMAT,
            'version': VERSION,
            'groups': {name: list(pair) for name, pair in self.kept.items()},
            'cuts': [[c.parameter, c.dim, c.size, write_ranges(c.kept)] for c in self.cuts],
            'attributes': self.attributes,
            'placements': {
                path: [write_ranges(p.positions), p.width, list(p.parameters)]
                for path, p in self.placements.items()
            },
            'wide': {
                path: [write_ranges(w.positions), w.width, w.dim] for path, w in self.wide.items()
            },
            'baked': list(self.baked),
        }
        return json.dumps(document, indent=1, sort_keys=True) + '\n'

    @classmethod
    def from_json(cls, text: str, source: str = 'plan') -> PruningPlan:
        """Read what `to_json` wrote.

        Raises:
            ChannelError: not a plan, or of a later version.
        """
        try:
            document = json.loads(text)
            if document['format'] != FORMAT:
                raise ChannelError(f'{source}: is not a pruning plan')
            if document['version'] > VERSION:
                raise ChannelError(f'{source}: version {document["version"]} is newer than this')
            cuts = tuple(
                Cut(str(name), int(dim), int(size), read_ranges(kept, int(size)))
                for name, dim, size, kept in document['cuts']
            )
            kept = {str(k): (int(a), int(b)) for k, (a, b) in document['groups'].items()}
            placements = {
                str(path): Placement(read_ranges(where, int(width)), int(width), tuple(names))
                for path, (where, width, names) in document.get('placements', {}).items()
            }
            wide = {
                str(path): Widening(read_ranges(where, int(width)), int(width), int(dim))
                for path, (where, width, dim) in document.get('wide', {}).items()
            }
            baked = tuple(str(path) for path in document.get('baked', ()))
            attributes = {str(k): dict(v) for k, v in document['attributes'].items()}
        except ChannelError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ChannelError(f'{source}: damaged plan ({error})') from None
        return cls(cuts, attributes, kept, placements, wide, baked)

    def save(self, folder: str | Path, model: nn.Module | None = None) -> None:
        """Write ``plan.json`` and, with the compact ``model``, ``weights.safetensors``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PLAN_FILE).write_text(self.to_json(), encoding='utf-8')
        if model is not None:
            save_model(unwrap(model), str(folder / WEIGHTS_FILE))

    @classmethod
    def load(cls, folder: str | Path) -> PruningPlan:
        """Read ``plan.json`` of a folder (or that file itself)."""
        path = Path(folder)
        path = path / PLAN_FILE if path.is_dir() else path
        try:
            return cls.from_json(path.read_text(encoding='utf-8'), str(path))
        except OSError as error:
            raise ChannelError(f'{path}: cannot be read ({error.strerror})') from None


def load_pruned(factory: Callable[[], nn.Module], folder: str | Path) -> nn.Module:
    """Rebuild a compact network from its class, its plan and its weights; nothing is unpickled.

    Args:
        factory: makes the dense network, e.g. ``lambda: resnet18(num_classes=10)``; its weights
            do not matter.
        folder: what `PruningPlan.save` wrote.

    Raises:
        ChannelError: a file is missing or damaged, or factory, plan and weights do not fit.
    """
    from .compact import compact_in_place

    plan = PruningPlan.load(folder)
    model = unwrap(factory())
    compact_in_place(model, plan)
    weights = Path(folder) / WEIGHTS_FILE
    if not weights.is_file():
        raise ChannelError(f'{weights}: no such file; save with plan.save(folder, model)')
    try:
        tensors = load_file(str(weights))
    except (SafetensorError, OSError) as error:
        raise ChannelError(f'{weights}: damaged ({first_line(error)})') from None
    _fill(model, tensors, weights)
    return model


def _fill(model: nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Load a state dict that holds each shared tensor once; all or nothing."""
    state = model.state_dict()  # with the version numbers that some modules insist on
    first = first_names(model)
    have = {first.get(name, name) for name in tensors}
    missing = [name for name in state if first.get(name, name) not in have]
    unknown = [name for name in tensors if name not in state]
    wrong = [n for n, t in tensors.items() if n in state and t.shape != state[n].shape]
    for what, names in (('lacks', missing), ('has unknown', unknown), ('misfits', wrong)):
        if names:
            raise ChannelError(f'{source}: {what} {", ".join(names[:3])}; another network or plan')
    state.update(tensors)
    model.load_state_dict(state)


def write_ranges(indices: Sequence[int]) -> str:
    """(0, 1, 2, 5) -> "0-2,5"."""
    parts: list[str] = []
    start = end = None
    for index in [*indices, None]:
        if index is not None and end is not None and index == end + 1:
            end = index
            continue
        if start is not None:
            parts.append(str(start) if start == end else f'{start}-{end}')
        start = end = index
    return ','.join(parts)


def read_ranges(text: str, size: int) -> tuple[int, ...]:
    """Inverse of `write_ranges`; indices must differ and lie in 0..size-1."""
    indices: list[int] = []
    for part in text.split(','):
        first, _, last = part.partition('-')
        start, end = int(first), int(last or first)
        if start < 0 or end < start or end >= size:
            raise ValueError(f'bad index range "{part}" of {size}')
        indices.extend(range(start, end + 1))
    if len(set(indices)) != len(indices):
        raise ValueError(f'an index twice in "{text}"')
    return tuple(indices)
