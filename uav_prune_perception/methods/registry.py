# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Methods and allocators by name, those of other packages included."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.metadata
import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from .acp.method import acp
from .adasp import adasp, asfp, sfp
from .allocation import Balanced, GlobalThreshold, InnerFirst, Uniform
from .cost_greedy import CostGreedy
from .daar.method import daar
from .fpgm import GeometricMedian
from .group_magnitude import group_magnitude
from .interfaces import Method, MethodError, RatioAllocator
from .l1 import L1Magnitude, L2Magnitude
from .l1rr.method import l1rr
from .network_slimming import network_slimming
from .random_choice import RandomChoice
from .recipe import Recipe, Section, first_fault
from .recipe_source import KeyPath, RecipeError
from .surgeon.score import EliminationScore
from .taylor import taylor

ENTRY_POINTS = 'uav_prune_perception.methods'
OPTIONS: KeyPath = ('prune', 'options')
DEFAULT_TO_TRAIN = ('soft', 'retrain')  # sections that may be missing: `train` says it then

# A factory takes one argument, its options (a `recipe.Section`, another pydantic model or a
# dataclass, by its type hint), or none; it gives a `Method` or an `ImportanceScore`.
Factory = Callable[..., Any]

METHODS: dict[str, Factory] = {
    'acp': acp,
    'adasp': adasp,
    'asfp': asfp,
    'daar': daar,
    'elimination': EliminationScore,
    'fpgm': GeometricMedian,
    'group_magnitude': group_magnitude,
    'l1': L1Magnitude,
    'l1rr': l1rr,
    'l2': L2Magnitude,
    'network_slimming': network_slimming,
    'random': RandomChoice,
    'sfp': sfp,
    'taylor': taylor,
}
ALLOCATORS: dict[str, Callable[[], RatioAllocator]] = {
    'balanced': Balanced,
    'global': GlobalThreshold,
    'inner': InnerFirst,
    'inner_global': lambda: InnerFirst(GlobalThreshold()),
    'latency': lambda: CostGreedy('latency'),
    'macs': lambda: CostGreedy('macs'),
    'uniform': Uniform,
}


def make_method(recipe: Recipe) -> Method:
    """The method of a recipe, with its allocator and its recovery, checked.

    Another package adds one with an entry point of the group ``uav_prune_perception.methods``
    that names a `Factory`.

    Raises:
        MethodError: no such method or allocation, or an entry point that cannot be loaded.
        RecipeError: a wrong option, or a section that the method needs is missing.
    """
    name = recipe.prune.method
    factories = method_factories()
    if name not in factories:
        place = recipe.place(('prune', 'method'))
        raise MethodError(f'{place}: prune.method: no "{name}"; {_choice(name, factories)}')
    try:
        method = _made(factories[name], recipe)
    except MethodError as error:
        raise MethodError(f'{recipe.place(("prune", "method"))}: {error}') from None
    return completed(method, recipe)


def plain_method(name: str) -> Method:
    """A method as it comes, with its default options.

    Raises:
        MethodError: no such method.
    """
    factories = method_factories()
    if name not in factories:
        raise MethodError(f'method: no "{name}"; {_choice(name, factories)}')
    least: dict[str, Any] = {
        'name': 'plain', 'data': {}, 'network': {'name': 'none'}, 'train': {'epochs': 1},
        'prune': {'method': name, 'levels': [{'kept_macs': 1.0}]},
    }
    return _made(factories[name], Recipe.model_validate(least))


def completed(method: Method, recipe: Recipe) -> Method:
    """``method`` with what it leaves to the recipe, checked against the recipe.

    Raises:
        MethodError: no such allocation, or the method does that by itself.
        RecipeError: a section that the method needs is missing, or one that it ignores is there.
    """
    name, allocation = recipe.prune.method, recipe.prune.allocation
    place = recipe.place(('prune', 'allocation'))
    if allocation is not None and method.allocator is not None:
        raise MethodError(
            f'{place}: prune.allocation: method {name} decides that by itself; remove the line'
        )
    if allocation is not None and allocation not in ALLOCATORS:
        hint = _choice(allocation, ALLOCATORS)
        raise MethodError(f'{place}: prune.allocation: no "{allocation}"; {hint}')
    method = dataclasses.replace(
        method,
        allocator=method.allocator or ALLOCATORS[allocation or method.allocation](),
        recovery=recipe.prune.recovery or method.recovery,
    )
    _check_sections(recipe, method)
    if recipe.prune.reconstruct:
        _check_reconstruct(recipe, method)
    return method


def method_factories() -> dict[str, Factory]:
    """The package's own methods and those of other packages; one's own name cannot be taken."""
    found: dict[str, Factory] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        found[point.name] = _Loaded(point)
    return {**found, **METHODS}


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A factory of another package, imported when it is asked for."""

    point: importlib.metadata.EntryPoint

    def load(self) -> Factory:
        try:
            factory: Factory = self.point.load()
        except Exception as error:
            raise MethodError(
                f'prune.method: "{self.point.name}" comes from {self.point.value}, which cannot '
                f'be loaded: {error}'
            ) from error
        return factory

    def __call__(self) -> Any:
        return self.load()()


def _made(factory: Factory, recipe: Recipe) -> Method:
    name = recipe.prune.method
    source = factory.load() if isinstance(factory, _Loaded) else factory
    kind = _options_type(source)
    options = _checked(kind, recipe)
    try:
        made = source() if kind is None else source(options)
    except (MethodError, RecipeError):
        raise
    except Exception as error:  # code of another package
        raise MethodError(f'prune.method: "{name}" cannot be made: {error}') from error
    if isinstance(made, Method):
        return made
    if callable(getattr(made, 'score', None)):
        return Method(score=made)
    raise MethodError(
        f'prune.method: "{name}" gives a {type(made).__name__}, which is neither a Method nor an '
        'ImportanceScore'
    )


def _options_type(factory: Factory) -> Any:
    """The type of a factory's argument; None if it takes none."""
    call = factory.__init__ if inspect.isclass(factory) else factory
    if call is object.__init__:
        return None
    needed = [
        parameter for parameter in inspect.signature(factory).parameters.values()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not needed:
        return None
    hint = typing.get_type_hints(call).get(needed[0].name)
    if len(needed) > 1 or hint is None:
        raise MethodError('prune.method: a method factory takes one argument, typed: its options')
    return hint


def _checked(kind: Any, recipe: Recipe) -> Any:
    """The recipe's options as the method's own type.

    Raises:
        RecipeError: names file, line, key and the nearest key that exists.
    """
    given = recipe.prune.options
    model: type[BaseModel] = _NoOptions
    if kind is not None:
        model = kind if _is_model(kind) else _model_of(kind)
    try:
        options = model.model_validate(given)
    except ValidationError as error:
        raise first_fault(error, recipe.source, model, OPTIONS) from None
    if kind is None or _is_model(kind):
        return options
    try:
        return kind(**{name: getattr(options, name) for name in type(options).model_fields})
    except (TypeError, ValueError) as error:
        raise RecipeError(f'{recipe.place(OPTIONS)}: prune.options: {error}') from None


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


class _NoOptions(Section):
    """For methods that have none."""


def _model_of(kind: Any) -> type[BaseModel]:
    """A strict pydantic model with the fields of a dataclass."""
    if not (inspect.isclass(kind) and dataclasses.is_dataclass(kind)):
        raise MethodError(f'prune.method: options of type {kind} (want a dataclass or a Section)')
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        default: Any = ...
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[field.name] = (hints[field.name], default)
    return create_model(f'{kind.__name__}Section', __base__=Section, **fields)


def needed_sections(method: Method) -> tuple[str, ...]:
    """The training sections that this method uses beside ``train``."""
    wanted = {
        'sparse': method.sparse is not None,
        'soft': method.in_training is not None,
        'search': method.searches,
        'finetune': method.recovery == 'finetune',
        'retrain': method.recovery in ('retrain', 'scratch'),
    }
    return tuple(name for name, needed in wanted.items() if needed)


def _check_sections(recipe: Recipe, method: Method) -> None:
    """Every section that the method's phases need is there, and none that they ignore."""
    name = recipe.prune.method
    used = needed_sections(method)
    for section in used:
        if section not in DEFAULT_TO_TRAIN and getattr(recipe, section) is None:
            raise RecipeError(
                f'{recipe.place((section,))}: {section}: is missing; method {name} needs it'
            )
    # `finetune` may stay: the same recipe is run with several methods.
    for section in ('sparse', 'search', 'soft', 'retrain'):
        if section not in used and getattr(recipe, section) is not None:
            raise RecipeError(
                f'{recipe.place((section,))}: {section}: method {name} has no such phase; '
                'remove the section'
            )


def _check_reconstruct(recipe: Recipe, method: Method) -> None:
    """Layers are fitted to the network that was cut; there must be one, and a use for it."""
    reason = None
    if method.searches:
        # Kept channels with the candidate's weights beside lost ones with the old: no reference
        reason = f'method {recipe.prune.method} keeps the weights that its search has judged'
    elif method.recovery == 'scratch':
        reason = 'prune.recovery: scratch begins with new weights'
    if reason:
        raise RecipeError(
            f'{recipe.place(("prune", "reconstruct"))}: prune.reconstruct: {reason}; '
            'remove the line'
        )


def _choice(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f'there are {", ".join(known)}'
