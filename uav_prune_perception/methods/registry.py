# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Methods and allocators by name, those of other packages included."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .allocation import GlobalThreshold, Uniform
from .interfaces import ImportanceScore, Method, MethodError, RatioAllocator
from .l1 import L1Magnitude

ENTRY_POINTS = 'uav_prune_perception.methods'

SCORES: dict[str, Callable[[], ImportanceScore]] = {'l1': L1Magnitude}
ALLOCATORS: dict[str, Callable[[], RatioAllocator]] = {
    'global': GlobalThreshold,
    'uniform': Uniform,
}


def make_method(name: str, allocation: str) -> Method:
    """A method by its name in a recipe.

    Another package adds one with an entry point of the group ``uav_prune_perception.methods``
    that names a class without arguments, an `ImportanceScore`.

    Raises:
        MethodError: no such method or allocation, or an entry point that cannot be loaded.
    """
    return Method(_make('prune.method', name, score_factories()), _make(
        'prune.allocation', allocation, ALLOCATORS))


def score_factories() -> dict[str, Callable[[], ImportanceScore]]:
    """The package's own scores and those of other packages; one's own name cannot be taken."""
    found: dict[str, Callable[[], ImportanceScore]] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        found[point.name] = _loader(point)
    return {**found, **SCORES}


def _loader(point: importlib.metadata.EntryPoint) -> Callable[[], ImportanceScore]:
    def make() -> ImportanceScore:
        try:
            score: ImportanceScore = point.load()()
        except Exception as error:
            raise MethodError(
                f'prune.method: "{point.name}" comes from {point.value}, which cannot be '
                f'loaded: {error}'
            ) from error
        return score

    return make


def _make(key: str, name: str, factories: Mapping[str, Callable[[], Any]]) -> Any:
    if name not in factories:
        raise MethodError(f'{key}: no "{name}"; {_choice(name, factories)}')
    return factories[name]()


def _choice(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f'there are {", ".join(known)}'
