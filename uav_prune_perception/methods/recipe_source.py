# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A recipe's text as plain values plus the line of every key, for errors that point at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]


class RecipeError(ValueError):
    """A recipe is missing, malformed or asks for nonsense. One line, ready to print."""


@dataclass
class RecipeSource:
    """Plain values of a YAML mapping, and where each of them stands.

    Attributes:
        where: file name for messages.
        values: the mapping as dicts, lists and scalars.
        lines: line number (from 1) by key path.
        assigned: key paths given by ``--set`` instead of by the file.
    """

    where: str
    values: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    assigned: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """``file:line`` of the nearest thing to ``path`` that stands somewhere."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.assigned:
                return f'--set {self.assigned[path[:end]]}'
            if path[:end] in self.lines:
                return f'{self.where}:{self.lines[path[:end]]}'
        return self.where


def read_source(path: Path) -> RecipeSource:
    """Parse a YAML file whose top is a mapping.

    Raises:
        RecipeError: no such file, not YAML, not a mapping, or a key given twice.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        raise RecipeError(f'{path}: no such recipe') from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f'{path}: cannot be read as a recipe: {error}') from None
    source = RecipeSource(str(path), {})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f':{mark.line + 1}' if mark else ''
        raise RecipeError(f'{path}{line}: not valid YAML: {error.problem}') from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = str(error).splitlines()[0]
        raise RecipeError(f'{path}: not valid YAML: {message}') from None
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise RecipeError(f'{path}: a recipe is a mapping of keys (name:, data:, ...)')
    _note_lines(node, (), source)
    source.values = values
    return source


def assign(source: RecipeSource, assignment: str) -> None:
    """Apply one ``key.path=value`` (the value is YAML: numbers, lists, true, null).

    Raises:
        RecipeError: no ``=``, or the path runs through something that is no mapping or list.
    """
    name, equals, text = assignment.partition('=')
    if not equals or not name.strip():
        raise RecipeError(f'--set {assignment}: must be key=value, such as train.epochs=3')
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f'--set {assignment}: the value is not valid YAML') from None
    path: list[str | int] = []
    target: Any = source.values
    parts = name.strip().split('.')
    for depth, part in enumerate(parts):
        key: str | int = part
        last = depth == len(parts) - 1
        if isinstance(target, dict):
            if last:
                target[key] = value
            elif target.get(key) is None:
                target[key] = {}
        elif isinstance(target, list) and part.isdigit() and int(part) < len(target):
            key = int(part)
            if last:
                target[key] = value
        else:
            over = '.'.join(parts[:depth])
            raise RecipeError(f'--set {assignment}: "{over}" in the recipe has no "{part}"')
        target = target[key]
        path.append(key)
    source.assigned[tuple(path)] = assignment


def _note_lines(node: yaml.Node, path: KeyPath, source: RecipeSource) -> None:
    source.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*path, index), source)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            raise RecipeError(
                f'{source.where}:{line}: "{name}" is given twice, first in line {seen[name]}'
            )
        seen[name] = line
        inner: KeyPath = (*path, name)
        source.lines[inner] = line
        _note_lines(value, inner, source)
