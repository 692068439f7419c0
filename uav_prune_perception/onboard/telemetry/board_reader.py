# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All of this machine's sources together: one `BoardState` per call."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from .cpu_load import CpuLoad
from .gpu_load import GpuLoad
from .ina238 import Ina238
from .ina3221 import Ina3221
from .low_pass import LowPass
from .overcurrent import OverCurrent
from .rapl import Rapl
from .raspberry_pi import RaspberryPi, Run, vcgencmd
from .snapshot import BoardState
from .thermal import ThermalZones

SLOW_S = 1.0  # temperature, load and firmware flags do not change faster
PROBE_S = 5.0  # drivers may come up after us
POWER_TIME_CONSTANT_S = 0.5
LEAST_W, MOST_W = -1.0, 2000.0  # of a computer on a drone; a sensor's zero may be a little off

log = logging.getLogger(__name__)
T = TypeVar('T')


class PowerSource(Protocol):
    """What all power sources have in common."""

    def probe(self) -> bool:
        """Look for the hardware again; true if it is there."""
        ...

    def power_w(self) -> float:
        """Watts; nan = unknown."""
        ...


class BoardReader:
    """Reads what this machine offers; nan for what it does not. Never raises. One thread only.

    Args:
        root: where ``sys`` and ``proc`` lie.
        run: calls Raspberry Pi's ``vcgencmd``.
        smoothing_s: time constant of the low-pass on power.
    """

    def __init__(
        self,
        root: Path = Path('/'),
        *,
        run: Run = vcgencmd,
        smoothing_s: float = POWER_TIME_CONSTANT_S,
    ) -> None:
        self.failures: dict[str, str] = {}
        self._thermal = ThermalZones(root)
        self._over_current = OverCurrent(root)
        self._gpu = GpuLoad(root)
        self._cpu = CpuLoad(root)
        self._pi = RaspberryPi(root, run)
        # The first that there is. RAPL stands last: it knows the processor only.
        self._fast: tuple[PowerSource, ...] = (Ina3221(root), Ina238(root), Rapl(root))
        self._power: PowerSource | None = None
        self._smoother = LowPass(smoothing_s)
        self._probed_s = -math.inf
        self._slow_s = -math.inf
        self._pi_power_w = self._temperature_c = self._load = math.nan
        self._alarm, self._alarm_s, self._alarms = '', math.nan, 0
        self._pi_flags: tuple[str, ...] = ()

    def read(self, now_s: float) -> BoardState:
        """One reading.

        Args:
            now_s: `time.monotonic` seconds.
        """
        if now_s - self._probed_s >= PROBE_S:
            self._probed_s = now_s
            self._try('probe', self._probe, None)
        if now_s - self._slow_s >= SLOW_S:
            self._slow_s = now_s
            self._temperature_c = self._try('temperature', self._thermal.temperature_c, math.nan)
            self._load = self._try('load', self._busiest, math.nan)
            self._try('raspberry pi', lambda: self._read_pi(now_s), None)
        nothing: dict[str, int] = {}
        events = self._try('over-current', self._over_current.new_events, nothing)
        if events:
            names = ', '.join(f'{name} +{count}' for name, count in sorted(events.items()))
            self._alarm, self._alarm_s = f'over-current ({names})', now_s
            self._alarms += sum(events.values())
        power = self._power
        watts = self._try('power', power.power_w, math.nan) if power else self._pi_power_w
        return BoardState(
            power_w=self._smoother.add(_plausible(watts), now_s),
            temperature_c=self._temperature_c,
            load=self._load,
            received_s=now_s,
            throttle_c=self._try('trip points', self._thermal.throttle_c, math.nan),
            alarm=self._alarm,
            alarm_s=self._alarm_s,
            alarms=self._alarms,
        )

    def _probe(self) -> None:
        """Look for what is not there yet; what is there is left alone."""
        if self._power is None:
            self._power = next((source for source in self._fast if source.probe()), None)
        if math.isnan(self._temperature_c):
            self._thermal.probe()
        self._gpu.probe()
        self._over_current.probe()

    def _busiest(self) -> float:
        loads = (self._cpu.load(), self._gpu.load())
        return max((load for load in loads if not math.isnan(load)), default=math.nan)

    def _read_pi(self, now_s: float) -> None:
        flags = self._pi.throttling()
        self._pi_power_w = self._pi.power_w() if self._power is None else math.nan
        if flags is None:
            return
        new = [flag for flag in flags.now if flag not in self._pi_flags]
        self._pi_flags = flags.now
        if new:
            self._alarm, self._alarm_s = ', '.join(new), now_s
            self._alarms += len(new)

    def _try(self, name: str, call: Callable[[], T], otherwise: T) -> T:
        """Nothing that a sensor does may reach the loop; each fault is logged once."""
        try:
            return call()
        except Exception as error:
            text = f'{type(error).__name__}: {error}'
            if self.failures.get(name) != text:
                log.warning('telemetry: %s: %s', name, text)
            self.failures[name] = text
            return otherwise


def _plausible(watts: float) -> float:
    return watts if LEAST_W <= watts <= MOST_W else math.nan
