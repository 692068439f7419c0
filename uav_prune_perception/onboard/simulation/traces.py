# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency of every level, frame by frame: recorded on a machine, or made up."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

QUIET = 'quiet'
TICK_MS = 0.005  # resolution in the file


@dataclass(frozen=True)
class LatencyTrace:
    """What each level would have needed for the same frame.

    Attributes:
        names: of the levels, heaviest first.
        kept_macs: share of the dense network's, 0..1.
        accuracy: of the levels, 0..1.
        latency_ms: condition ('quiet', ...) -> float32 [levels, frames].
        origin: where it comes from, for people.
    """

    names: tuple[str, ...]
    kept_macs: tuple[float, ...]
    accuracy: tuple[float, ...]
    latency_ms: dict[str, np.ndarray]
    origin: str = ''

    def half(self, second: bool) -> LatencyTrace:
        """The first half of every condition's frames (to tune on), or the second (to judge by)."""
        kept = {
            name: values[:, values.shape[1] // 2:] if second
            else values[:, : values.shape[1] // 2]
            for name, values in self.latency_ms.items()
        }
        note = f'{self.origin}; {"second" if second else "first"} half of the frames'
        return replace(self, latency_ms=kept, origin=note)

    def scaled(self, heaviest_ms: float) -> LatencyTrace:
        """All times multiplied so that the heaviest level's quiet median is ``heaviest_ms``."""
        factor = heaviest_ms / float(np.median(self.latency_ms[QUIET][0]))
        scaled = {name: values * factor for name, values in self.latency_ms.items()}
        note = f'{self.origin}; times multiplied by {factor:.2f}'
        return LatencyTrace(self.names, self.kept_macs, self.accuracy, scaled, note)


def made_up_trace(
    seed: int = 0,
    *,
    frames: int = 9000,
    heaviest_ms: float = 22.0,
    jitter: float = 0.03,
    spikes: float = 0.002,
) -> LatencyTrace:
    """Five levels with skewed jitter, slow drift and rare hiccups, as on a quiet Jetson.

    Args:
        seed: of everything random.
        frames: length.
        heaviest_ms: median of the heaviest level.
        jitter: standard deviation of the log of a frame's time.
        spikes: share of frames that take half as long again.
    """
    rng = np.random.default_rng(seed)
    kept = (1.0, 0.75, 0.5, 0.35, 0.2)
    drift = np.zeros(frames)
    for n in range(1, frames):
        drift[n] = 0.995 * drift[n - 1] + 0.1 * 0.3 * jitter * rng.standard_normal()
    rows = []
    for share in kept:
        noise = 0.7 * rng.standard_normal(frames) + 0.7 * (rng.exponential(1.0, frames) - 1.0)
        hiccup = np.where(rng.random(frames) < spikes, 1.5, 1.0)
        base = heaviest_ms * (0.12 + 0.88 * share)
        rows.append(base * np.exp(drift + jitter * noise) * hiccup)
    return LatencyTrace(
        ('dense', '75', '50', '35', '20'), kept, (0.62, 0.608, 0.585, 0.55, 0.48),
        {QUIET: np.array(rows, np.float32)}, f'made up: jitter {jitter:.0%}, seed {seed}',
    )


def write_trace(trace: LatencyTrace, path: Path) -> None:
    """Into one compressed ``.npz``; no pickles."""
    about = {
        'names': trace.names, 'kept_macs': trace.kept_macs, 'accuracy': trace.accuracy,
        'origin': trace.origin, 'conditions': list(trace.latency_ms),
    }
    arrays = {
        f'latency_{number}': np.round(values / TICK_MS).astype(np.uint16)
        for number, values in enumerate(trace.latency_ms.values())
    }
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]


def read_trace(path: Path) -> LatencyTrace:
    """What `write_trace` wrote.

    Raises:
        ValueError: the file is not a trace; the message names it.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file['about']))
            latency_ms = {
                name: file[f'latency_{number}'].astype(np.float32) * TICK_MS
                for number, name in enumerate(about['conditions'])
            }
        return LatencyTrace(
            tuple(about['names']), tuple(about['kept_macs']), tuple(about['accuracy']),
            latency_ms, about['origin'],
        )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f'{path}: not a latency trace ({error})') from error
