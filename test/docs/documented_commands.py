# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The shell commands of README, CONTRIBUTING, docs and recipes, as a reader would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = ('bash', 'console', 'sh')
PROGRAMS = (
    'uav-prune', 'torchrun', 'ros2', 'make', 'colcon', 'pip', 'python', 'python3', 'sudo', 'cat',
    'mkdir', 'source', '.', 'git', 'cd', 'tensorboard',
)


@dataclass(frozen=True)
class Command:
    """One line, with its continuations, without its comment."""

    place: str
    text: str

    @property
    def program(self) -> str:
        """Its first word that is no setting of a variable."""
        return next((w for w in self.text.split() if not re.match(r'[A-Z_]+=', w)), '')


def pages() -> list[Path]:
    """Where commands are documented."""
    return [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


def documented() -> list[Command]:
    """All of them, in the order of the pages."""
    found = [command for page in pages() for command in _of_page(page)]
    for recipe in sorted((ROOT / 'config/recipes').glob('*.yaml')):
        comments = [line.lstrip('# ').rstrip() if line.startswith('#') else ''
                    for line in recipe.read_text(encoding='utf-8').splitlines()]
        found += _joined(recipe, list(enumerate(comments, 1)), strict=False)
    return found


def _of_page(page: Path) -> Iterator[Command]:
    block: list[tuple[int, str]] = []
    fence: str | None = None
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), 1):
        if line.lstrip().startswith('```'):
            if fence is not None:
                if fence in SHELLS or fence == '':
                    yield from _joined(page, block, strict=fence in SHELLS)
                fence, block = None, []
            else:
                fence = line.strip().lstrip('`')
        elif fence is not None:
            block.append((number, line))
        elif line.startswith('    '):
            yield from _joined(page, [(number, line)], strict=False)


def _joined(page: Path, lines: list[tuple[int, str]], *, strict: bool) -> Iterator[Command]:
    start, text = 0, ''
    for number, line in lines:
        start, text = (number, '') if not text else (start, text)
        text += line.strip()
        if text.endswith('\\'):
            text = text[:-1]
            continue
        text, whole = '', re.sub(r'\s+#\s.*$', '', text).strip()
        if not whole or whole.startswith('#'):
            continue
        for part in re.split(r'\s+&&\s+', whole):
            command = Command(f'{page.relative_to(ROOT)}:{start}', part)
            if command.program in PROGRAMS:
                yield command
            elif strict:
                raise AssertionError(f'{command.place}: what is "{command.program}"? {PROGRAMS}')
