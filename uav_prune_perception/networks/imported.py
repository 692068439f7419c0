# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A user's own network, named in a recipe as ``package.module:factory``."""

from __future__ import annotations

import importlib
import inspect
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from uav_prune_perception.ladder.reader import sha256_of

# What the field calls the number of classes and of input channels.
CLASSES = ('classes', 'num_classes', 'nc', 'n_classes')
CHANNELS = ('channels', 'in_channels', 'in_chans', 'ch')

PRODUCT = __name__.partition('.')[0]  # beside the user's files, in a checkout


class ImportedNetworkError(ValueError):
    """The name does not lead to a network. One line, ready to print."""


def imported_network(
    name: str, *, classes: int, channels: int, options: dict[str, Any]
) -> nn.Module:
    """Import and call a factory: a class, or a function that returns a module.

    The working directory is looked in first, so that a file beside the recipe is found. The
    factory is given the number of classes and of channels where its signature has a usual name
    for them (`CLASSES`, `CHANNELS`) and the options do not set it already.

    Args:
        name: ``module:attribute``, such as ``torchvision.models:resnet18`` or ``my_net:MyNet``.
        classes: of the task.
        channels: of the pictures.
        options: keyword arguments.

    Raises:
        ImportedNetworkError: no such module or attribute, or it gives no ``nn.Module``.
    """
    factory = _factory(name)
    given = dict(options)
    known = _parameters(factory)
    for names, value in ((CLASSES, classes), (CHANNELS, channels)):
        fitting = [word for word in names if word in known]
        if fitting and not any(word in given for word in names):
            given[fitting[0]] = value
    try:
        made = factory(**given)
    except Exception as error:  # the user's code may raise anything
        text = ' '.join(str(error).split())[:200]
        raise ImportedNetworkError(f'{name}: {type(error).__name__}: {text}') from error
    if not isinstance(made, nn.Module):
        raise ImportedNetworkError(f'{name}: gives a {type(made).__name__}, not a torch nn.Module')
    return made


def own_sources(name: str) -> dict[str, str]:
    """Sha256 of the source files that make a network, as far as they are imported.

    What stands beside the factory's module counts, or below its package; what is installed does
    not, for its version would be changed on purpose.

    Args:
        name: as for `imported_network`; one without a colon has no files of its own.

    Returns:
        By path, relative to the folder that is imported from.
    """
    module = name.partition(':')[0]
    top = sys.modules.get(module.partition('.')[0])  # without a file where it has no __init__.py
    main = _source(top) or _source(sys.modules.get(module))
    if ':' not in name or main is None:
        return {}
    home = main.parent
    root = home.parent if main.name == '__init__.py' else home
    sources = {
        _source(other) for other_name, other in [*sys.modules.items()]
        if other_name.partition('.')[0] not in {'__main__', PRODUCT}
    }
    return {
        str(path.relative_to(root)): sha256_of(path) for path in sources
        if path is not None and path.is_relative_to(home) and path.is_file()
    }


def _source(module: ModuleType | None) -> Path | None:
    """The file of a module that is neither installed nor Python's own."""
    file = getattr(module, '__file__', None)
    if file is None or {'site-packages', 'dist-packages'} & {*Path(file).parts}:
        return None
    return None if Path(file).is_relative_to(sysconfig.get_path('stdlib')) else Path(file)


def _factory(name: str) -> Callable[..., Any]:
    module_name, _, attribute = name.partition(':')
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything while it is imported
        reason = ' '.join(str(error).split())[:200]
        raise ImportedNetworkError(
            f'{name}: module {module_name} cannot be imported: {type(error).__name__}: {reason}'
        ) from error
    for part in attribute.split('.'):
        if not hasattr(found, part):
            raise ImportedNetworkError(f'{name}: module {module_name} has no "{attribute}"')
        found = getattr(found, part)
    if not callable(found):
        raise ImportedNetworkError(f'{name}: "{attribute}" cannot be called')
    return found


def _parameters(factory: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(factory).parameters)
    except (TypeError, ValueError):  # some C functions have none
        return frozenset()
