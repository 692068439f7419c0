# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The scenarios S0 to S8 as worlds; each is 300 s unless asked otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .traces import QUIET, LatencyTrace
from .world import BUSY_W, OVERHEAD_MS, Battery, Cooler, SimulatedLevel, World

CAMERA_HZ = 30.0
DEADLINE_MS = 30.0
PROFILE_ERROR = 0.03  # of the warm-up's latency, standard deviation
ENERGY_ERROR = 0.08  # of the profile's energy
CONTENDED = 'contended'
HOVER_W = 60.0
SMALL_CRAFT_W = 30.0  # above some 60 W of hovering the computer hardly matters to the battery


def make_world(
    name: str, trace: LatencyTrace, seed: int, duration_s: float = 300.0, staleness_s: float = 0.3
) -> World:
    """A scenario with its own stretch of the trace.

    Args:
        name: a key of ``SCENARIOS``.
        trace: gives latencies; where it is shorter than the flight it is repeated.
        seed: 0 or more.
        duration_s: of the flight; moments of change scale with it.
        staleness_s: an answer's worth falls to 37 % in this time.

    Raises:
        ValueError: no such scenario, or the trace lacks what it needs.
    """
    if name not in SCENARIOS:
        raise ValueError(f'no scenario "{name}"; there are {", ".join(SCENARIOS)}')
    world = _nominal(name, trace, seed, duration_s)
    world.staleness_s = world.settings['staleness_s'] = staleness_s
    t = world.arrival_s / duration_s  # 0..1
    SCENARIOS[name][1](world, t, trace)
    return world


def _nominal(name: str, trace: LatencyTrace, seed: int, duration_s: float) -> World:
    rng = np.random.default_rng([seed, 5])
    arrival_s = np.arange(0.0, duration_s, 1.0 / CAMERA_HZ)
    n = len(arrival_s)
    true_ms = [float(np.median(row)) for row in trace.latency_ms[QUIET]]
    levels = []
    for index, true in enumerate(true_ms):
        energy_j = BUSY_W * true * 1e-3
        levels.append(SimulatedLevel(
            trace.names[index], trace.kept_macs[index], trace.accuracy[index],
            true * (1.0 + PROFILE_ERROR * float(rng.standard_normal())),
            energy_j * (1.0 + ENERGY_ERROR * float(rng.standard_normal())), energy_j,
        ))
    content = 1.0 + 0.03 * _wander(rng, n, 0.998)
    accuracy = np.clip(np.array(trace.accuracy)[:, None] * content[None, :], 0.0, 1.0)
    return World(
        name, seed, tuple(levels), DEADLINE_MS, arrival_s,
        _stretch(trace, QUIET, n, rng) + OVERHEAD_MS, accuracy, np.full(n, 25.0), np.zeros(n),
        np.full(n, HOVER_W) * (1.0 + 0.05 * _wander(rng, n, 0.97)), np.full(n, math.inf),
        np.zeros(n, bool), np.zeros(n, bool),
        settings={'deadline_ms': DEADLINE_MS},
    )


def _stretch(trace: LatencyTrace, condition: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """A stretch of the trace that starts anywhere; all levels of the same frames."""
    values = trace.latency_ms[condition]
    start = int(rng.integers(values.shape[1]))
    return np.take(values, np.arange(start, start + n), axis=1, mode='wrap').astype(np.float64)


def _wander(rng: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """A slow random walk about zero with unit variance."""
    values, scale = np.empty(n), math.sqrt(1.0 - memory**2)
    noise = rng.standard_normal(n)
    value = noise[0]
    for place in range(n):
        value = memory * value + scale * noise[place]
        values[place] = value
    return values


def _between(t: np.ndarray, start: float, end: float) -> np.ndarray:
    return (t >= start) & (t < end)


def _slow(world: World, factor: np.ndarray) -> None:
    world.latency_ms = (world.latency_ms - OVERHEAD_MS) * factor + OVERHEAD_MS


def _s0(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    pass


def _s1(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    busy = (t * 5.0) % 1.0 >= 0.5
    _slow(world, np.where(busy, 1.6, 1.0))
    world.other_w = np.where(busy, 1.5, 0.0)
    world.steps_s = tuple(float(world.arrival_s[-1] * (k + 0.5) / 5.0) for k in range(5))


def _s1_measured(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    if CONTENDED not in trace.latency_ms:
        raise ValueError(f'the trace ({trace.origin}) was not recorded under contention')
    busy = (t * 5.0) % 1.0 >= 0.5
    rng = np.random.default_rng([world.seed, 6])
    contended = _stretch(trace, CONTENDED, world.frames, rng) + OVERHEAD_MS
    world.latency_ms = np.where(busy[None, :], contended, world.latency_ms)
    world.other_w = np.where(busy, 1.5, 0.0)
    world.steps_s = tuple(float(world.arrival_s[-1] * (k + 0.5) / 5.0) for k in range(5))


def _s2(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    _slow(world, np.where(_between(t, 1 / 3, 1 / 3 + 0.2), 2.0, 1.0))
    world.steps_s = (float(world.arrival_s[-1] / 3),)


def _s3(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    world.cooler = Cooler()
    world.ambient_c = 25.0 + 22.0 * np.clip((t - 0.1) / 0.5, 0.0, 1.0)
    world.settings['temperature_limit_c'] = world.cooler.trip_c


def _s4(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    duration_s = float(world.arrival_s[-1])
    world.hover_w = world.hover_w * (SMALL_CRAFT_W / world.hover_w.mean())
    draws = [float(world.draw_w(level, 1).mean()) for level in (0, len(world.levels) - 1)]
    module_w = 0.45 * draws[0] + 0.55 * draws[1]  # enough for a level in between
    need_wh = (module_w + float(world.hover_w.mean())) * duration_s / 3600.0
    capacity_wh = 4.0 * need_wh
    world.battery = Battery(capacity_wh, 0.15 + need_wh / capacity_wh, 0.15, duration_s)
    world.settings.update(
        target_endurance_s=duration_s, battery_capacity_wh=capacity_wh,
        battery_reserve_fraction=0.15,
    )


def _s5(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    world.power_limit_w = np.where(_between(t, 1 / 3, 2 / 3), 7.0, 15.0)
    world.steps_s = (float(world.arrival_s[-1] / 3),)


def _s6(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    world.power_limit_w = np.full(world.frames, 9.5)
    world.power_dead = _between(t, 0.2, 0.35)
    world.power_frozen = _between(t, 0.4, 0.6)
    world.other_w = np.where(_between(t, 0.45, 0.7), 1.0, 0.0)  # unseen while frozen
    _slow(world, np.where(_between(t, 0.45, 0.7), 1.3, 1.0))


def _s7(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    gap = _between(t, 1 / 3, 2 / 3)[None, :] * (1.0 - np.array(trace.kept_macs))[:, None]
    world.accuracy = world.accuracy * (1.0 - 0.35 * gap)
    _slow(world, np.where((t * 5.0) % 1.0 >= 0.5, 1.4, 1.0))


def _s8(world: World, t: np.ndarray, trace: LatencyTrace) -> None:
    """30 Hz, then 60 Hz, then 15 Hz: every array is thinned or doubled."""
    frames = world.frames
    hz = np.where(t < 1 / 3, 30.0, np.where(t < 2 / 3, 60.0, 15.0))
    steps = np.where(hz == 60.0, 2, 1)
    keep = (hz != 15.0) | (np.arange(frames) % 2 == 0)
    order = np.repeat(np.arange(frames)[keep], steps[keep])
    period_s = (1.0 / hz)[order]
    world.arrival_s = np.concatenate([[0.0], np.cumsum(period_s)[:-1]])
    # A doubled frame takes its times from elsewhere in the trace, not twice the same.
    other = np.arange(len(order)) % frames
    world.latency_ms = np.where(hz[order] == 60.0, world.latency_ms[:, other],
                                world.latency_ms[:, order])
    world.accuracy = world.accuracy[:, order]
    for name in ('ambient_c', 'other_w', 'hover_w', 'power_limit_w', 'power_dead',
                 'power_frozen'):
        setattr(world, name, getattr(world, name)[order])


SCENARIOS: dict[str, tuple[str, Callable[[World, np.ndarray, LatencyTrace], None]]] = {
    'S0': ('nominal', _s0),
    'S1': ('contention, square wave 1.0 / 1.6 x', _s1),
    'S1m': ('contention as measured, square wave', _s1_measured),
    'S2': ('clock cap, 2 x for a fifth of the flight', _s2),
    'S3': ('heat: ambient ramps up to the trip point', _s3),
    'S4': ('battery: energy for a middle level only', _s4),
    'S5': ('power budget 15 W, 7 W, 15 W', _s5),
    'S6': ('power sensor dead, then frozen, under a 9.5 W budget', _s6),
    'S7': ('content: lighter levels lose up to 28 % accuracy for a while', _s7),
    'S8': ('camera 30, 60, 15 Hz', _s8),
}
