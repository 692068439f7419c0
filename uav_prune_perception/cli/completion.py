# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune --print-completion SHELL``: a script that completes commands, flags and files.

shtab writes it from the grammar, once: pressing TAB then starts no Python (argcomplete would).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SHELLS = ('bash', 'zsh', 'tcsh')


class PrintCompletion(argparse.Action):
    """Prints the script for one shell and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        del more, dest
        super().__init__(
            option_strings, argparse.SUPPRESS, choices=SHELLS, metavar='SHELL',
            help=f'print the completion script of {", ".join(SHELLS)}',
        )

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: Any, option: Any = None
    ) -> None:
        """Print and end."""
        try:
            import shtab
        except ImportError:
            parser.exit(1, 'uav-prune: error: completion needs shtab: pip install shtab\n')
        for action in actions(parser):
            if action.type is Path:
                folder = str(action.metavar).endswith('/')
                action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, values))
        parser.exit()


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of every command."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
