# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Raspberry Pi: throttle flags of the firmware, and the Pi 5's power rails."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .rails import Rail
from .sysfs import matching, read_text

THROTTLED_FILES = (
    'sys/devices/platform/soc/soc:firmware/get_throttled',
    'sys/devices/platform/soc@*/soc@*:firmware/get_throttled',
    'sys/devices/platform/*/*firmware/get_throttled',
)
FLAGS = {0: 'under-voltage', 1: 'clock capped', 2: 'throttled', 3: 'soft temperature limit'}
TIMEOUT_S = 0.5
# "   VDD_CORE_A current(7)=1.25800000A" and "   VDD_CORE_V volt(15)=0.71935490V"
_ADC = re.compile(r'(\w+)_(A|V)\s+(?:current|volt)\(\d+\)=([0-9.]+)[AV]')

Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Throttling:
    """Flags of ``get_throttled``: ``now`` (bits 0-3) and ``since_boot`` (bits 16-19)."""

    now: tuple[str, ...] = ()
    since_boot: tuple[str, ...] = ()


def vcgencmd(arguments: Sequence[str]) -> str:
    """What the firmware tool prints; '' when it is absent, forbidden or slow."""
    try:
        done = subprocess.run(
            ['vcgencmd', *arguments], capture_output=True, text=True, timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ''
    return done.stdout


class RaspberryPi:
    """Throttling of any Pi; power of a Pi 5 (older ones have no power sensor: nan).

    Starting ``vcgencmd`` costs milliseconds: read once a second, from a thread.
    """

    def __init__(self, root: Path = Path('/'), run: Run = vcgencmd) -> None:
        self._root = root
        self._run = run
        self._flags: Path | None = None
        self._is_pi = False
        self.probe()

    def probe(self) -> bool:
        """Look again; true on a Raspberry Pi."""
        model = read_text(self._root / 'proc/device-tree/model')
        self._is_pi = model.startswith('Raspberry Pi')
        self._flags = next(matching(self._root, *THROTTLED_FILES), None) if self._is_pi else None
        return self._is_pi

    def throttling(self) -> Throttling | None:
        """The flags; None when unknown."""
        if not self._is_pi:
            return None
        text = read_text(self._flags) if self._flags else ''
        text = text or self._run(['get_throttled']).strip().removeprefix('throttled=')
        try:
            bits = int(text, 16)
        except ValueError:
            return None
        return Throttling(
            tuple(name for bit, name in FLAGS.items() if bits >> bit & 1),
            tuple(name for bit, name in FLAGS.items() if bits >> (bit + 16) & 1),
        )

    def rails(self) -> list[Rail]:
        """The rails of a Pi 5's PMIC; nothing on others."""
        if not self._is_pi:
            return []
        values: dict[str, dict[str, float]] = {}
        for name, kind, number in _ADC.findall(self._run(['pmic_read_adc'])):
            values.setdefault(name, {})[kind] = _number(number)
        return [
            Rail(name, pair['V'] * pair['A'], pair['V'], pair['A'])
            for name, pair in values.items() if len(pair) == 2
        ]

    def power_w(self) -> float:
        """Sum of the PMIC's rails, watts: the board without USB devices and losses."""
        rails = self.rails()
        return sum(rail.power_w for rail in rails) if rails else math.nan


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
