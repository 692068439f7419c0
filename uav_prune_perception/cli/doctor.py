# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from .machine_checks import Check, check_machine

MARKS = {'ok': 'ok ', 'missing': '-- ', 'broken': 'BAD'}
COLORS = {'ok': '32', 'missing': '33', 'broken': '31'}  # of a terminal: green, yellow, red
BOLD, DIM = '1', '2'


def run_doctor(options: argparse.Namespace) -> int:
    """Check and print; exit code 1 when something that is there does not work."""
    checks = check_machine()
    if options.json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    else:
        _print(checks)
    return int(any(check.state == 'broken' for check in checks))


def _print(checks: list[Check]) -> None:
    part = ''
    for check in checks:
        if check.part != part:
            part = check.part
            print(_styled(part, BOLD))
        mark = _styled(MARKS[check.state], COLORS[check.state])
        print(f'  {mark} {check.name:22} {check.found}')
        if check.mend:
            print(_styled(f'      {check.mend}', DIM))
    broken = sum(check.state == 'broken' for check in checks)
    missing = sum(check.state == 'missing' for check in checks)
    print(f'{len(checks)} checked: {broken} broken, {missing} not there')


def _styled(text: str, style: str) -> str:
    """For a terminal; a drone has no library for that."""
    return f'\x1b[{style}m{text}\x1b[0m' if sys.stdout.isatty() else text
