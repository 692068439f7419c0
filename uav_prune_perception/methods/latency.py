# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A level that asks for a measured latency: the MACs that have it are searched by measuring.

Every figure is a ratio of two engines that take turns, so that a busy moment of the machine hits
both. The ratio's uncertainty is estimated from the same run and is part of what is promised.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from uav_prune_perception.export.onnx_export import export_onnx
from uav_prune_perception.export.verification import open_engine

from .interfaces import MethodError

PROMISE = 0.01  # of the asked latency, where the measurement can tell
NEAR = 0.05  # of the asked latency: taken with a warning on a machine too busy for the promise
MEASUREMENTS = 8
WARM_UP = 5
BLOCKS = 5


@dataclass(frozen=True)
class LatencyRatio:
    """Latency over that of the dense network, with its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f'{self.value:.1%} +- {self.error:.1%} of the dense latency'

    def meets(self, asked: float) -> bool:
        """Within 1 % of what was asked, or not to be told from it (two standard errors).

        An error beyond what is `NEAR` says that the measurement is worth nothing.
        """
        return abs(self.value - asked) <= max(PROMISE * asked, min(2 * self.error, NEAR * asked))


class LatencyMeter:
    """Measures networks against the dense one, with ONNX Runtime on this machine.

    Args:
        dense: the dense network; its weights do not matter.
        example: float32 [1, C, H, W].
        threads: of the engines; 0 = one for each usable core.
        runs: timed pairs of a measurement.
    """

    def __init__(
        self, dense: nn.Module, example: Tensor, *, threads: int = 0, runs: int = 100
    ) -> None:
        self._example, self._threads, self._runs = example, threads, runs
        self._dense = self._engine(dense)

    def ratio(self, model: nn.Module) -> LatencyRatio:
        """Latency of ``model``: median of the quotients of each turn, error from blocks of turns.

        Raises:
            ExportError: the network cannot be exported.
        """
        picture = self._example.numpy()
        engines = (self._dense, self._engine(model))
        times = np.zeros((self._runs, 2))
        # On one thread the work is done in this one, and its own time leaves neighbours out.
        clock = time.thread_time if self._threads == 1 else time.perf_counter
        for turn in range(-WARM_UP, self._runs):
            for column, engine in enumerate(engines):
                start = clock()
                engine.infer(picture)
                if turn >= 0:
                    times[turn, column] = clock() - start
        quotients = times[:, 1] / times[:, 0]  # both of one turn see the same busy moment
        blocks = [np.median(block) for block in np.array_split(quotients, BLOCKS)]
        error = float(np.std(blocks, ddof=1)) / BLOCKS**0.5
        return LatencyRatio(float(np.median(quotients)), error)

    def _engine(self, model: nn.Module):  # type: ignore[no-untyped-def]
        with tempfile.TemporaryDirectory(prefix='uav_prune_') as folder:
            path = export_onnx(
                model, self._example, Path(folder) / 'model.onnx', input_name='x', output_name='y'
            )
            return open_engine(path, threads=self._threads)


def search_latency(
    build: Callable[[float], nn.Module],
    meter: LatencyMeter,
    asked: float,
    tell: Callable[[float, LatencyRatio], None] = lambda share, ratio: None,
) -> tuple[float, LatencyRatio]:
    """The share of MACs whose network has the asked latency, by few measurements.

    False position on (share, latency): starts between (0, 0) and (1, 1), which latency roughly
    follows, and never leaves the bracket. An end that stays twice counts half (the Illinois rule):
    latency bends, and would be approached from one side for ever. It is no smooth function of
    widths either (13 may be slower than 16), so the nearest that was seen is kept.

    Args:
        build: makes a network with this share of the dense network's MACs.
        meter: measures it.
        asked: latency over the dense network's, 0..1.
        tell: hears of every measurement.

    Raises:
        MethodError: the nearest is more than 5 % off.
    """
    low, high = (0.0, -asked), (1.0, 1.0 - asked)  # (share, what it misses)
    stayed = 0  # how often the low end stayed, less how often the high end did
    nearest: tuple[float, LatencyRatio] | None = None
    fault = ''
    for _ in range(MEASUREMENTS):
        slope = -low[1] / max(high[1] - low[1], 1e-6)
        share = low[0] + (high[0] - low[0]) * min(0.9, max(0.1, slope))
        try:
            found = meter.ratio(build(share))
        except MethodError as error:  # narrower than the bounds allow
            fault, low, stayed = f' ({error})', (share, -asked), 0
            continue
        tell(share, found)
        if nearest is None or abs(found.value - asked) < abs(nearest[1].value - asked):
            nearest = (share, found)
        if found.meets(asked):
            return share, found
        point = (share, found.value - asked)
        if point[1] < 0:
            low, stayed = point, min(stayed, 0) - 1
            high = (high[0], high[1] / 2) if stayed < -1 else high
        else:
            high, stayed = point, max(stayed, 0) + 1
            low = (low[0], low[1] / 2) if stayed > 1 else low
    if nearest is not None and abs(nearest[1].value - asked) <= NEAR * asked:
        return nearest
    best = f'the nearest measured is {nearest[1]}' if nearest else 'nothing could be measured'
    raise MethodError(
        f'asked for {asked:.1%} of the dense latency, {best} after {MEASUREMENTS} '
        f'measurements{fault}; raise prune.round_to to 8 or 16 (engines run such widths fastest), '
        'or ask for kept_macs'
    )
