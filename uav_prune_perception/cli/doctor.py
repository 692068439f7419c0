# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import argparse
import dataclasses
import json

from rich.console import Console
from rich.markup import escape

from .machine_checks import Check, check_machine

MARKS = {
    'ok': '[green]ok  [/green]', 'missing': '[yellow]--  [/yellow]', 'broken': '[red]BAD [/red]'
}


def run_doctor(options: argparse.Namespace) -> int:
    """Check and print; exit code 1 when something that is there does not work."""
    checks = check_machine()
    if options.json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    else:
        _print(checks)
    return int(any(check.state == 'broken' for check in checks))


def _print(checks: list[Check]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    part = ''
    for check in checks:
        if check.part != part:
            part = check.part
            console.print(f'[bold]{escape(part)}[/bold]')
        console.print(f'  {MARKS[check.state]}{escape(check.name):22} {escape(check.found)}')
        if check.mend:
            console.print(f'      {escape(check.mend)}', style='dim')
    broken = sum(check.state == 'broken' for check in checks)
    missing = sum(check.state == 'missing' for check in checks)
    console.print(f'{len(checks)} checked: {broken} broken, {missing} not there')
